"""The pages of settings and checks name what the code has, and nothing else."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import pytest
from django.conf import settings

from config.checks import REQUIRED
from config.env import BASE_DIR, Environment
from router.conf import RouterSettings
from shop.conf import ShopSettings

DOCS = BASE_DIR / "docs"
MIB = 1024 * 1024
CHECK = re.compile(r"\b[EW]\d{3}\b")
#: They stop the start, or `migrate`, without any `check --deploy`.
REQUIRED_AT_ONCE = {"SECRET_KEY", "ENCRYPTION_KEYS"}


def rows(page: str, section: str) -> dict[str, list[str]]:
    """First cell → the others, of the tables under that heading."""
    text = (DOCS / page).read_text()
    _, _, rest = text.partition(f"\n## {section}\n")
    body = rest.partition("\n## ")[0]
    cells = (
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in body.splitlines()
        if line.startswith("| `")
    )
    return {first.strip("`| "): others for first, *others in cells}


def shown(name: str, value: object) -> str | None:
    """A default as the page has it; None where it needs words."""
    match value:
        case bool():
            return str(value).lower()
        case int() if name.endswith("_BYTES"):
            return f"{value // MIB} MiB"
        case int() | float():
            return f"{value:g}"
        case str() if value:
            return value
    return None


DEFAULTS = {
    "settings.ROUTER": {
        name.upper(): field.get_default(call_default_factory=True)
        for name, field in RouterSettings.model_fields.items()
    },
    "settings.SHOP": {
        field.name.upper(): field.default for field in dataclasses.fields(ShopSettings)
    },
    "settings.RECEIPTS": settings.RECEIPTS,
    "settings.ORDER_HISTORY": settings.ORDER_HISTORY,
    "Environment variables": {
        name.upper(): field.get_default(call_default_factory=True)
        for name, field in Environment.model_fields.items()
    },
}


def heading(section: str) -> str:
    return f"`{section}`" if section.startswith("settings.") else section


@pytest.mark.parametrize("section", DEFAULTS)
def test_the_page_of_settings_names_each_that_the_code_reads(section: str) -> None:
    page = rows("settings.md", heading(section))

    missing = set(DEFAULTS[section]) - set(page)
    assert not missing, f"docs/settings.md lacks a row for {sorted(missing)}"
    unknown = set(page) - set(DEFAULTS[section])
    assert not unknown, f"docs/settings.md has rows of no setting: {sorted(unknown)}"


def told_defaults() -> Iterator[tuple[str, str, str]]:
    for section, defaults in DEFAULTS.items():
        if section == "settings.RECEIPTS":
            continue
        for name, default in defaults.items():
            if text := shown(name, default):
                yield section, name, text


@pytest.mark.parametrize(("section", "name", "default"), list(told_defaults()))
def test_the_page_of_settings_tells_the_default(
    section: str, name: str, default: str
) -> None:
    row = rows("settings.md", heading(section)).get(name, ["", ""])

    assert row[1].strip("`") == default


def test_the_page_of_settings_tells_what_production_requires() -> None:
    page = rows("settings.md", "Environment variables")
    required = {name for name, cells in page.items() if cells[-1] == "yes"}

    assert required == {*REQUIRED, *REQUIRED_AT_ONCE}


def checks_of_the_code() -> set[str]:
    """Id of each check: the folder's name, and what its modules of checks contain."""
    names: set[str] = set()
    for top in ("config", "router", "shop", "subscribers"):
        for path in (BASE_DIR / top).rglob("*checks.py"):
            codes = CHECK.findall(path.read_text())
            names |= {f"{path.parent.name}.{code}" for code in codes}
    return names


def test_the_page_of_checks_names_each_of_the_code() -> None:
    page = set(re.findall(r"^\| `([\w.]+)`", (DOCS / "checks.md").read_text(), re.M))

    assert page
    missing = checks_of_the_code() - page
    assert not missing, f"docs/checks.md lacks a row for {sorted(missing)}"
    unknown = page - checks_of_the_code()
    assert not unknown, f"docs/checks.md has rows of no check: {sorted(unknown)}"


def test_the_page_of_metrics_names_each_of_the_code() -> None:
    page = re.findall(r"^\| `(fanfare_\w+)`", (DOCS / "metrics.md").read_text(), re.M)
    code = (BASE_DIR / "router" / "observe" / "metrics.py").read_text()

    assert page
    assert sorted(page) == sorted(set(re.findall(r'"(fanfare_\w+)"', code)))
