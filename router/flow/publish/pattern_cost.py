"""What matching a pattern of a JSON Schema costs at worst, and its compiled size."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import jsonschema_rs

#: Size of the compiled pattern → the worst text makes it try its states one by one.
PATTERN_NS = {10_000: 1_100, 100_000: 2_300, 1_000_000: 6_000}
#: Beyond each of them.
NO_SIZE = 2_000_000
#: Of a pattern with look-around, which only files and older releases have.
BACKTRACKING_NS = 15_000


def pattern_ns(pattern: str) -> int:
    """What a pattern costs for each character of the worst text."""
    return PATTERN_NS.get(pattern_bytes(pattern), BACKTRACKING_NS)


@lru_cache(maxsize=1000)
def pattern_bytes(pattern: str) -> int:
    """The size that a compiled pattern does not exceed; one that can't be: the most."""
    for size in PATTERN_NS:
        options = jsonschema_rs.RegexOptions(size_limit=size)
        try:
            jsonschema_rs.Draft202012Validator(
                {"pattern": pattern}, pattern_options=options
            )
        except jsonschema_rs.ValidationError:
            continue
        return size
    return NO_SIZE


def patterns_in(value: Any) -> Iterator[str]:
    """Each text that may be a pattern: the schema may be none yet."""
    if isinstance(value, list):
        for inner in value:
            yield from patterns_in(inner)
    if isinstance(value, dict):
        named = value.get("patternProperties")
        candidates = [value.get("pattern"), *(named if isinstance(named, dict) else ())]
        yield from (text for text in candidates if isinstance(text, str))
        for inner in value.values():
            yield from patterns_in(inner)
