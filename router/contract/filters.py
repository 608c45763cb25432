"""Which event types a subscriber wants: `purchase.completed`, `purchase.*`, `*`."""

from __future__ import annotations

import re
from collections.abc import Sequence

PATTERN = re.compile(r"\*|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*(\.\*)?")


def pattern_problem(pattern: object) -> str | None:
    """Why this is not a pattern, or None when it is one."""
    if isinstance(pattern, str) and PATTERN.fullmatch(pattern):
        return None
    return (
        f"{pattern!r} is not an event type or pattern; write `purchase.completed`, "
        "`purchase.*` or `*`"
    )


def wants(patterns: Sequence[str], event_type: str) -> bool:
    """Whether one of the patterns matches; `purchase.*` matches any depth below it."""
    return any(
        pattern in ("*", event_type)
        or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))
        for pattern in patterns
    )
