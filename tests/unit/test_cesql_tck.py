"""The conformance tests of CloudEvents SQL 1.0, as the specification has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from router.contract.cesql.errors import ParseError
from router.contract.cesql.program import Program

FOLDER = Path(__file__).parent / "cesql_tck"
EVENT = {"specversion": "1.0", "id": "an-id", "source": "/tck", "type": "tck.event"}
#: Cases that the text of the specification overrules → the value that it gives.
OVERRULED = {
    # Section 3.7: an Integer other than 0 is cast to true, and that is no error.
    ("Not operator", "Invalid int cast"): False,
}


class Loader(yaml.SafeLoader):
    """Leaves a time as the text that stands there."""


Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def cases(stem: str) -> Iterator[tuple[str, dict[str, Any]]]:
    suite = yaml.load((FOLDER / f"{stem}.yaml").read_text(), Loader)  # noqa: S506
    for case in suite["tests"]:
        yield suite["name"], case


SUITES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def test_every_case_is_there() -> None:
    assert sum(len(list(cases(stem))) for stem in SUITES) == 275


@pytest.mark.parametrize("stem", SUITES)
def test_the_cases_of_the_specification(stem: str) -> None:
    failed = {}
    for suite, case in cases(stem):
        try:
            check(suite, case)
        except AssertionError as error:
            failed[case["name"]] = str(error)
    assert failed == {}


def check(suite: str, case: dict[str, Any]) -> None:
    event = case.get("event") or {**EVENT, **case.get("eventOverrides", {})}
    wanted = (case.get("result"), case.get("error"))
    overruled = OVERRULED.get((suite, case["name"]))
    if overruled is not None:
        assert wanted != (overruled, None)
        wanted = (overruled, None)

    # YAML reads `TRUE` and `1` as no text.
    expression = str(case["expression"])
    value, error = evaluated(expression, event)

    if wanted[0] is not None:
        assert (value, type(value)) == (wanted[0], type(wanted[0]))
    assert error == wanted[1]
    if error != "parse":
        assert Program(expression).passes(event) is (value is True and not error)


def evaluated(expression: str, event: dict[str, Any]) -> tuple[Any, str | None]:
    try:
        result = Program(expression).evaluate(event)
    except ParseError:
        return False, "parse"
    return result.value, result.error and result.error.kind.value
