"""What must hold of each cursor at the end, read from the database.

Pure. An event at or below a cursor is settled or set aside: a delivery says what became
of it, or else exactly one acknowledgement covers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class CursorState:
    """A subscriber's place in the log, and what stands below it."""

    name: str
    start: int
    position: int
    #: Positions of the events that the subscriber asks for, wherever they are.
    wanted: Sequence[int]
    #: Positions of the events that have a delivery.
    rows: Sequence[int]
    #: First, last and count of each.
    acknowledgements: Sequence[tuple[int, int, int]] = ()
    is_leased: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> CursorState:
        """From JSON."""
        acknowledgements = [tuple(each) for each in values["acknowledgements"]]
        return cls(**{**values, "acknowledgements": acknowledgements})


def broken_rules(cursors: Iterable[CursorState]) -> list[str]:
    """A sentence for each rule that is broken."""
    return [f"{cursor.name}: {what}" for cursor in cursors for what in _broken(cursor)]


def _broken(cursor: CursorState) -> Iterator[str]:
    rows = set(cursor.rows)
    single = [each for each in cursor.wanted if each not in rows]
    for position in single:
        if cursor.start < position <= cursor.position:
            count = sum(
                first <= position <= last for first, last, _ in cursor.acknowledgements
            )
            if count != 1:
                yield f"{position} has no delivery and is acknowledged {count} times"
    for first, last, count in cursor.acknowledgements:
        if last > cursor.position:
            yield f"{last} is acknowledged, above the cursor at {cursor.position}"
        covered = sum(first <= position <= last for position in single)
        if covered != count:
            yield f"{first} to {last} says {count} and covers {covered}"
    if cursor.is_leased:
        yield "its lease is still held"
