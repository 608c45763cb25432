"""What changed from one value to another, as lines of a page."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from router.display import NOTHING, pretty

#: Mark of a line of a diff → its element.
KINDS = {"+": "ins", "-": "del"}


@dataclass(frozen=True, kw_only=True)
class Change:
    """A field with both values; of a list or an object the lines that differ."""

    field: str
    before: str
    after: str
    lines: list[tuple[str, str]]


def diff_of(before: Any, after: Any) -> Iterator[tuple[str, str]]:
    """The lines that differ, and three around each: their element and their text."""
    lines = difflib.unified_diff(_lines(before), _lines(after), n=3, lineterm="")
    # Without the names of the files and the place of the first lines.
    for line in list(lines)[3:]:
        yield KINDS.get(line[:1], "span"), line


def changes_of(recorded: dict[str, list[Any]] | None) -> list[Change]:
    """What an entry of the audit recorded, field by field."""
    return [
        Change(
            field=name,
            before=_text(before),
            after=_text(after),
            lines=list(diff_of(before, after)) if _is_long(before, after) else [],
        )
        for name, (before, after) in sorted((recorded or {}).items())
    ]


def _is_long(*values: Any) -> bool:
    return any(isinstance(value, list | dict) for value in values)


def _text(value: Any) -> str:
    return NOTHING if value is None or value == "" else str(value)


def _lines(value: Any) -> list[str]:
    return [] if value is None else pretty(value).splitlines()
