"""The page of the foreign routers names each field that a kind has, and no other."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from config.env import BASE_DIR
from router.transports.kinds import FEEDS, KINDS

PAGE = (BASE_DIR / "docs/routers.md").read_text()
TARGETS = {name: kind.target for name, kind in KINDS.items()}


def fields(section: str, kind: str) -> set[str]:
    """The names in the first column, of the rows of this kind, or of all."""
    _, _, rest = PAGE.partition(f"\n## {section}\n")
    named: set[str] = set()
    for line in rest.partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) > 2 and (f"`{kind}`" in cells[1] or cells[1] == "all"):
            named |= {name.strip("` ") for name in cells[0].split(",")}
    return named


@pytest.mark.parametrize(
    ("section", "models", "others"),
    [
        ("Publish to one", TARGETS, set()),
        ("Take in from one", FEEDS, {"from"}),
    ],
)
def test_the_fields_of_each_kind_are_those_of_the_page(
    section: str, models: dict[str, type[BaseModel]], others: set[str]
) -> None:
    in_code = {name: {*model.model_fields, *others} for name, model in models.items()}

    assert {name: fields(section, name) for name in models} == in_code


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_row_its_extra_and_its_section(kind: str) -> None:
    title, extra = KINDS[kind].title, KINDS[kind].extra

    assert f"| `{kind}` | `pip install 'django-fanfare[{extra}]'` |" in PAGE
    assert any(
        title.removeprefix("Amazon ") in line
        for line in PAGE.splitlines()
        if line.startswith("## ")
    )
