"""Patterns of event types, sources and names: `purchase.completed`, `purchase.*`, `*`.

A `*` at the end stands for any rest; anywhere else it is a character like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from router.contract.attributes import text_problem, type_problem

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
