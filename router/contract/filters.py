"""Patterns of event types, sources and names: `purchase.completed`, `purchase.*`, `*`.

A `*` at the end stands for any rest; anywhere else it is a character like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from router.contract.attributes import (
    EXTENSION_NAME,
    attribute_text,
    text_problem,
    type_problem,
)

EVERYTHING = "*"
BELOW = ".*"
MAX_PATTERN_LENGTH = 255


def pattern_problem(pattern: object) -> str | None:
    """Why this is not a pattern of event types, or None when it is one."""
    if pattern == EVERYTHING:
        return None
    if problem := type_problem(pattern):
        return f"is not an event type or pattern: it {problem}"
    prefix = str(pattern).removesuffix(BELOW)
    if "*" not in prefix and prefix:
        return None
    return (
        f"{pattern!r} is not an event type or pattern; write `purchase.completed`, "
        "`purchase.*` or `*`. A type that contains * itself is selected by a filter: "
        '`*` here, and {"exact": {"type": …}} there'
    )


def prefix_problem(pattern: str) -> str | None:
    """Why this is not a pattern that keys and subscribers are bound to."""
    if not pattern or "*" in pattern[:-1]:
        return f"{pattern!r}: a * may stand at the end only"
    if len(pattern) > MAX_PATTERN_LENGTH:
        return f"a pattern may have {MAX_PATTERN_LENGTH} characters"
    problem = text_problem(pattern)
    return f"{pattern!r} {problem}" if problem else None


def matches_any(patterns: Collection[str], value: str) -> bool:
    """Whether a pattern matches; `purchase.*` matches any depth, no pattern nothing."""
    return any(
        value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
        for pattern in patterns
    )


def is_covered(pattern: str, patterns: Collection[str]) -> bool:
    """Whether everything that `pattern` matches is matched by one of `patterns`."""
    if not pattern.endswith("*"):
        return matches_any(patterns, pattern)
    return any(
        wider.endswith("*") and pattern[:-1].startswith(wider[:-1])
        for wider in patterns
    )


def are_covered(inner: Collection[str], outer: Collection[str]) -> bool:
    """Whether all that `inner` match lies within what `outer` match."""
    return all(is_covered(pattern, outer) for pattern in inner)


def intersection(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Patterns of what both match."""
    narrower = [
        *(pattern for pattern in first if is_covered(pattern, second)),
        *(pattern for pattern in second if is_covered(pattern, first)),
    ]
    return list(dict.fromkeys(narrower))


COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "exact": str.__eq__,
    "prefix": str.startswith,
    "suffix": str.endswith,
}
LISTS: dict[str, Callable[[Iterator[bool]], bool]] = {"all": all, "any": any}
MAX_DEPTH = 20
MAX_PARTS = 200


def matches(expression: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
    """Whether an event with these context attributes passes a filter that has no
    `filter_problems`; an attribute that is missing never passes a comparison."""
    ((dialect, operand),) = expression.items()
    if dialect in LISTS:
        return LISTS[dialect](matches(inner, attributes) for inner in operand)
    if dialect == "not":
        return not matches(operand, attributes)
    compare = COMPARISONS[dialect]
    return all(
        name in attributes and compare(attribute_text(attributes[name]), wanted)
        for name, wanted in operand.items()
    )


def filter_problems(expression: object) -> list[tuple[str, str]]:
    """Pairs of JSON pointer and what is wrong there; empty for a filter."""
    problems: list[tuple[str, str]] = []
    for part_count, problem in enumerate(_problems(expression, "", 0)):
        if part_count > MAX_PARTS:
            return [("", f"has more than {MAX_PARTS} parts")]
        if problem:
            problems.append(problem)
    return problems


def _problems(
    expression: object, pointer: str, depth: int
) -> Iterator[tuple[str, str] | None]:
    """What is wrong, and None for each part that is looked at."""
    yield None
    if depth > MAX_DEPTH:
        yield pointer, f"is nested deeper than {MAX_DEPTH} levels"
        return
    if not isinstance(expression, dict) or len(expression) != 1:
        yield pointer, f"must be an object with one of: {', '.join(_known())}"
        return
    ((dialect, operand),) = expression.items()
    here = f"{pointer}/{dialect}"
    if dialect in COMPARISONS:
        yield from _comparison_problems(operand, here)
    elif dialect in LISTS:
        yield from _list_problems(operand, here, depth)
    elif dialect == "not":
        yield from _problems(operand, here, depth + 1)
    else:
        yield pointer, f"must be an object with one of: {', '.join(_known())}"


def _comparison_problems(
    operand: object, pointer: str
) -> Iterator[tuple[str, str] | None]:
    if not isinstance(operand, dict) or not operand:
        yield pointer, 'must name attributes: {"subject": "order-1"}'
        return
    for name, wanted in operand.items():
        yield None
        if not isinstance(name, str) or not EXTENSION_NAME.fullmatch(name):
            yield pointer, f"{str(name)[:50]!r} is no name of an attribute"
        elif not isinstance(wanted, str) or not wanted or text_problem(wanted):
            yield f"{pointer}/{name}", "must be printable text, and not empty"


def _list_problems(
    operand: object, pointer: str, depth: int
) -> Iterator[tuple[str, str] | None]:
    if not isinstance(operand, list) or not operand:
        yield pointer, "must be a list of at least one filter"
        return
    for index, inner in enumerate(operand):
        yield from _problems(inner, f"{pointer}/{index}", depth + 1)


def _known() -> tuple[str, ...]:
    return (*COMPARISONS, *LISTS, "not")
