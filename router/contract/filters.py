"""Which event types a subscriber wants: `purchase.completed`, `purchase.*`, `*`."""

from __future__ import annotations

from collections.abc import Sequence

from router.contract.attributes import type_problem

EVERYTHING = "*"
BELOW = ".*"


def pattern_problem(pattern: object) -> str | None:
    """Why this is not a pattern, or None when it is one."""
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


def wants(patterns: Sequence[str], event_type: str) -> bool:
    """Whether one of the patterns matches; `purchase.*` matches any depth below it."""
    return any(
        pattern in (EVERYTHING, event_type)
        or (pattern.endswith(BELOW) and event_type.startswith(pattern[:-1]))
        for pattern in patterns
    )
