"""What is owed above the cursors: events of the log that have no row of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from router.observe.live_cursors import LiveCursor, live_cursors
from router.observe.wanted import Range, Wanted, wanted_in

#: So many events of the log are looked at, for all subscribers together.
LOOK = 100_000


@dataclass(frozen=True, kw_only=True)
class Above:
    """The events above a subscriber's cursor that it asked for, by their types: a
    filter may let fewer through."""

    waiting: int = 0
    working: int = 0
    #: Whether the log goes on where the look ended.
    has_more: bool = False
    oldest_waiting_at: datetime | None = None
    oldest_working_at: datetime | None = None


NOTHING_ABOVE = Above()


def owed_above_cursors() -> dict[int, Above]:
    """Primary key of a subscriber → what is owed above its cursor.

    One statement, and a second while a cursor is below the head.
    """
    behind = [
        each for each in live_cursors(is_in_use=True) if each.position < each.head
    ]
    share = LOOK // max(1, len(behind))
    looks = [_Look(each, share) for each in behind]
    found = wanted_in([each for look in looks for each in look.ranges])
    return {look.cursor.subscriber.pk: look.above(found) for look in looks}


class _Look:
    """The next events above a cursor: those at work, and those behind them."""

    def __init__(self, cursor: LiveCursor, limit: int) -> None:
        self.cursor = cursor
        to = cursor.end_of_part(min(cursor.head, cursor.position + limit))
        leased_to = min(cursor.leased_to, to)
        self._working = cursor.ranges(cursor.position, leased_to)
        self._waiting = cursor.ranges(leased_to, to)
        self._has_more = to < cursor.head

    @property
    def ranges(self) -> list[Range]:
        return [*self._working, *self._waiting]

    def above(self, found: Mapping[Range, Wanted]) -> Above:
        return Above(
            waiting=_count(self._waiting, found),
            working=_count(self._working, found),
            has_more=self._has_more,
            oldest_waiting_at=_oldest(self._waiting, found),
            oldest_working_at=_oldest(self._working, found),
        )


def _count(ranges: Iterable[Range], found: Mapping[Range, Wanted]) -> int:
    return sum(found[each].count for each in ranges if each in found)


def _oldest(ranges: Iterable[Range], found: Mapping[Range, Wanted]) -> datetime | None:
    moments = (found[each].oldest_at for each in ranges if each in found)
    return min(moments, default=None)
