"""The filters of the CloudEvents Subscriptions API 1.0 (3.2.4).

`exact`, `prefix`, `suffix`, `all`, `any`, `not` and `sql`, which is CloudEvents SQL.
The first three compare context attributes, and by a dotted path values in the event's
JSON data: `data.customer.country`, `data.lines.0.sku`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from router.contract import json_text
from router.contract.attributes import EXTENSION_NAME, attribute_text, text_problem
from router.contract.cesql.grammar import MAX_LENGTH
from router.contract.cesql.program import Program, sql_problems

COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "exact": str.__eq__,
    "prefix": str.startswith,
    "suffix": str.endswith,
}
LISTS: dict[str, Callable[[Iterator[bool]], bool]] = {"all": all, "any": any}
DIALECTS = (*COMPARISONS, *LISTS, "not", "sql")
KNOWN = f"must be an object with one of: {', '.join(DIALECTS)}"
#: A path into the data; a step that is a number also counts the items of a list from 0.
DATA_PATH = re.compile(r"data(\.[^.]+)+", re.DOTALL)
INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
MAX_PATH_LENGTH = 255
MAX_DEPTH = 20
MAX_PARTS = 200
#: Compiled filters that a process keeps.
MAX_KEPT = 1_000

Attributes = Mapping[str, str | int | bool]
Test = Callable[[Attributes, Any], bool]
Problem = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Filter:
    """A compiled filter; where it `reads_data`, it must be given the event's data."""

    _test: Test
    reads_data: bool
    _programs: tuple[Program, ...] = ()

    def passes(self, attributes: Attributes, data: Any = None) -> bool:
        """Whether an event with these context attributes and data passes.

        What the event lacks passes no comparison, and no SQL that needs it.
        """
        return self._test(attributes, data)

    def sql_error(self, attributes: Attributes) -> str | None:
        """What goes wrong for this event in the SQL of the filter; its first error."""
        results = (program.evaluate(attributes) for program in self._programs)
        return next((str(result.error) for result in results if result.error), None)


def compiled(expression: Any) -> Filter:
    """The filter of an expression without `filter_problems`; kept for the next time.

    Raises for an expression that is no filter.
    """
    return _compiled(json.dumps(expression))


@lru_cache(maxsize=MAX_KEPT)
def _compiled(text: str) -> Filter:
    names: set[str] = set()
    programs: list[Program] = []
    test = _test(json.loads(text), names, programs)
    reads_data = any(map(is_data_path, names))
    return Filter(test, reads_data=reads_data, _programs=tuple(programs))


def is_data_path(name: str) -> bool:
    """Whether a name is a path into the data; no attribute has a dot in its name."""
    return "." in name


def _test(
    expression: Mapping[str, Any], names: set[str], programs: list[Program]
) -> Test:
    """What decides on an event; adds the names that it compares, and its SQL."""
    ((dialect, operand),) = expression.items()
    if dialect in LISTS:
        tests = [_test(inner, names, programs) for inner in operand]
        return _combined(LISTS[dialect], tests)
    if dialect == "not":
        negated = _test(operand, names, programs)
        return lambda attributes, data: not negated(attributes, data)
    if dialect == "sql":
        program = Program(operand)
        programs.append(program)
        return lambda attributes, data: program.passes(attributes)
    names.update(operand)
    compare = COMPARISONS[dialect]
    tests = [_compared(compare, name, text) for name, text in operand.items()]
    return tests[0] if len(tests) == 1 else _combined(all, tests)


def _combined(combine: Callable[[Iterator[bool]], bool], tests: list[Test]) -> Test:
    return lambda attributes, data: combine(test(attributes, data) for test in tests)


def _compared(compare: Callable[[str, str], bool], name: str, wanted: str) -> Test:
    read = reader(name)

    def is_alike(attributes: Attributes, data: Any) -> bool:
        text = read(attributes, data)
        return text is not None and compare(text, wanted)

    return is_alike


def reader(name: str) -> Callable[[Attributes, Any], str | None]:
    """What reads the text by this name from attributes and data, as comparisons see it;
    None: the event has none."""
    if is_data_path(name):
        steps = name.split(".")[1:]
        return lambda attributes, data: _text_at(data, steps)

    def attribute(attributes: Attributes, data: Any) -> str | None:
        value = attributes.get(name)
        return None if value is None else attribute_text(value)

    return attribute


def _text_at(data: Any, steps: list[str]) -> str | None:
    """The value there: a text as it is, a number or a boolean as JSON writes it.

    None for null, an object, a list, and where there is nothing.
    """
    for step in steps:
        if isinstance(data, dict):
            data = data.get(step)
        elif isinstance(data, list) and INDEX.fullmatch(step):
            data = data[int(step)] if int(step) < len(data) else None
        else:
            return None
    if isinstance(data, str):
        return data
    if isinstance(data, bool | int | float):
        return json_text.dumped(data)
    return None


@dataclass(frozen=True)
class _Part:
    """A part of a filter that was looked at, and what is wrong with it."""

    pointer: str = ""
    problem: str | None = None
    sql_length: int = 0


def filter_problems(expression: object) -> list[Problem]:
    """Pairs of JSON pointer and what is wrong there; empty for a filter."""
    problems: list[Problem] = []
    sql_length = 0
    for part_count, part in enumerate(_parts(expression, "", 0)):
        sql_length += part.sql_length
        if part_count > MAX_PARTS:
            return [("", f"has more than {MAX_PARTS} parts")]
        if sql_length > MAX_LENGTH:
            return [("", f"has more than {MAX_LENGTH:,} characters of SQL")]
        if part.problem:
            problems.append((part.pointer, part.problem))
    return problems


def _parts(expression: object, pointer: str, depth: int) -> Iterator[_Part]:
    yield _Part()
    if depth > MAX_DEPTH:
        yield _Part(pointer, f"is nested deeper than {MAX_DEPTH} levels")
        return
    if not isinstance(expression, dict) or len(expression) != 1:
        yield _Part(pointer, KNOWN)
        return
    ((dialect, operand),) = expression.items()
    here = f"{pointer}/{dialect}"
    if dialect in COMPARISONS:
        yield from _comparison_parts(operand, here)
    elif dialect in LISTS:
        yield from _list_parts(operand, here, depth)
    elif dialect == "not":
        yield from _parts(operand, here, depth + 1)
    elif dialect == "sql":
        yield from _sql_parts(operand, here)
    else:
        yield _Part(pointer, KNOWN)


def _comparison_parts(operand: object, pointer: str) -> Iterator[_Part]:
    if not isinstance(operand, dict) or not operand:
        yield _Part(pointer, 'must name attributes: {"subject": "order-1"}')
        return
    for name, wanted in operand.items():
        yield _Part()
        if problem := _name_problem(name):
            yield _Part(pointer, problem)
        elif not isinstance(wanted, str) or not wanted or text_problem(wanted):
            problem = "must be printable text, and not empty"
            step = name.replace("~", "~0").replace("/", "~1")
            yield _Part(f"{pointer}/{step}", problem)


def _name_problem(name: object) -> str | None:
    if name == "data":
        return "compares no data as a whole: name a value in it, as data.customer.city"
    if not isinstance(name, str) or len(name) > MAX_PATH_LENGTH:
        return f"{str(name)[:50]!r} is no name of an attribute"
    if EXTENSION_NAME.fullmatch(name):
        return None
    if DATA_PATH.fullmatch(name) and not text_problem(name):
        return None
    return (
        f"{name[:50]!r} is neither the name of an attribute, such as subject, nor a "
        "path into the data, such as data.customer.city"
    )


def _list_parts(operand: object, pointer: str, depth: int) -> Iterator[_Part]:
    if not isinstance(operand, list) or not operand:
        yield _Part(pointer, "must be a list of at least one filter")
        return
    for index, inner in enumerate(operand):
        yield from _parts(inner, f"{pointer}/{index}", depth + 1)


def _sql_parts(operand: object, pointer: str) -> Iterator[_Part]:
    if not isinstance(operand, str):
        yield _Part(pointer, "must be text: an expression of CloudEvents SQL")
        return
    # Nothing parses what is too long together.
    yield _Part(sql_length=len(operand))
    for problem in sql_problems(operand):
        yield _Part(pointer, f"is no CloudEvents SQL for a filter: {problem}")
