"""The filters of the page about them pass its event, and its expressions are right."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from config.env import BASE_DIR
from router.contract.cesql.program import Program
from router.contract.dialects import compiled, filter_problems
from tests.code_blocks import texts

PAGE = "docs/filters.md"
EVENT, *FILTERS = map(json.loads, texts(PAGE, "json"))
CONTEXT = {name: value for name, value in EVENT.items() if name != "data"}
ROW = re.compile(r"^\| `(.+)` \| (true|false|error: .+) \|$", re.MULTILINE)
EXPRESSIONS = ROW.findall((BASE_DIR / PAGE).read_text())


def test_the_page_has_examples() -> None:
    assert len(FILTERS) >= 8
    assert len(EXPRESSIONS) >= 12


@pytest.mark.parametrize("example", FILTERS, ids=json.dumps)
def test_a_filter_of_the_page_passes_its_event(example: dict[str, Any]) -> None:
    assert filter_problems(example) == []
    assert compiled(example).passes(CONTEXT, EVENT["data"])
    assert not compiled({"not": example}).passes(CONTEXT, EVENT["data"])


@pytest.mark.parametrize(("expression", "value"), EXPRESSIONS)
def test_an_expression_of_the_page_has_its_value(expression: str, value: str) -> None:
    result = Program(expression).evaluate(CONTEXT)

    error = f"error: {result.error}"
    assert value == (error if result.error else str(result.value).lower())


def test_the_problem_of_the_page_is_the_one_that_is_reported() -> None:
    [shown] = texts(PAGE, "text")
    [(pointer, problem)] = filter_problems({"sql": "subject LIKE 7"})

    assert shown == f"/filter{pointer} {problem}"
