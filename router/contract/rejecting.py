"""Which clause of a filter says no to an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from router.contract.dialects import COMPARISONS, Attributes, compiled, reader

#: Dialect → what a value that it refuses is not.
REFUSED = {
    "exact": "is not",
    "prefix": "does not begin with",
    "suffix": "does not end with",
}


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """The first clause that says no, where it stands in the filter, and why."""

    #: JSON pointer into the filter.
    pointer: str
    clause: Mapping[str, Any]
    #: Completes "it rejects the event: …".
    why: str
    #: Of a comparison: what the event has there.
    found: str | None = None


def rejection(
    expression: Mapping[str, Any],
    attributes: Attributes,
    data: Any = None,
    *,
    pointer: str = "",
) -> Rejection | None:
    """Why an event with these context attributes and data does not pass a filter; None
    where it passes. Raises for an expression that is no filter."""
    if compiled(expression).passes(attributes, data):
        return None
    ((dialect, operand),) = expression.items()
    here = f"{pointer}/{dialect}"
    if dialect == "all":
        parts = (
            rejection(inner, attributes, data, pointer=f"{here}/{index}")
            for index, inner in enumerate(operand)
        )
        return next(filter(None, parts), None)
    if dialect in COMPARISONS:
        return _comparison(dialect, operand, attributes, data, here)
    why = _why_not(expression, attributes)
    return Rejection(pointer=here, clause=expression, why=why)


def _why_not(expression: Mapping[str, Any], attributes: Attributes) -> str:
    ((dialect, operand),) = expression.items()
    if dialect == "any":
        return f"none of its {len(operand)} filters passes"
    if dialect == "not":
        return "the filter that it negates passes"
    error = compiled(expression).sql_error(attributes)
    return f"its SQL fails: {error}" if error else "its SQL is false"


def _comparison(
    dialect: str,
    operand: Mapping[str, str],
    attributes: Attributes,
    data: Any,
    pointer: str,
) -> Rejection | None:
    """The first of the names that the dialect compares in vain."""
    for name, wanted in operand.items():
        found = reader(name)(attributes, data)
        if found is not None and COMPARISONS[dialect](found, wanted):
            continue
        step = name.replace("~", "~0").replace("/", "~1")
        return Rejection(
            pointer=f"{pointer}/{step}",
            clause={dialect: {name: wanted}},
            why=f"the event has no {name}"
            if found is None
            else f'{name} {REFUSED[dialect]} "{wanted}"',
            found=found,
        )
    return None
