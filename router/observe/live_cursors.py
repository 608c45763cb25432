"""The cursors of subscribers: where each stands, and which events its subscriber asked
for at which position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, Subquery

from router.flow.cursor.asking import Asking
from router.models import (
    LIVE,
    Acknowledgement,
    Clock,
    Cursor,
    LogHead,
    Subscriber,
)
from router.observe.wanted import Range


@dataclass(frozen=True, kw_only=True)
class LiveCursor:
    """A subscriber's live cursor, as it stood at `now` by the database's clock."""

    subscriber: Subscriber
    cursor_id: int
    #: Events at or below `start` are from before the cursor; those up to `position` are
    #: settled or set aside; those up to `leased_to` are at work.
    start: int
    position: int
    leased_to: int
    #: Whether the events above it have no deliveries. A cursor that is not in use stays
    #: where it was, and tells what became of the events below it.
    is_in_use: bool
    #: The last position of the log.
    head: int
    asking: Asking
    now: datetime

    def ranges(self, after: int, to: int) -> list[Range]:
        """The positions above `after` and up to `to`, a range for each period."""
        return [
            Range(
                subscriber_id=self.subscriber.pk,
                after=first,
                to=last,
                patterns=tuple(patterns),
            )
            for first, last, patterns in self.asking.patterns_between(after, to)
        ]


def live_cursors(*, is_in_use: bool = False) -> list[LiveCursor]:
    """The live cursors that tell what became of events, or those in use alone; by the
    subscriber's key. One statement."""
    rows = Cursor.objects.filter(run=LIVE).annotate(is_in_use=Cursor.IS_IN_USE)
    has_told = Exists(Acknowledgement.objects.filter(cursor=OuterRef("pk")))
    tells = Q(is_in_use=True) if is_in_use else Q(is_in_use=True) | has_told
    rows = (
        rows.filter(tells)
        .annotate(
            after=F("subscriber__periods__after"),
            events=F("subscriber__periods__events"),
            filter=F("subscriber__periods__filter"),
            head=Subquery(LogHead.objects.values("position")[:1]),
            now=Clock(),
        )
        .select_related("subscriber__turn")
        .defer("subscriber__custom_headers")
        .order_by("subscriber_id", "after")
    )
    return [_live_cursor(list(of_one)) for _, of_one in groupby(rows, _subscriber_id)]


def _subscriber_id(cursor: Cursor) -> int:
    return cursor.subscriber_id


def _live_cursor(rows: Sequence[Any]) -> LiveCursor:
    cursor = rows[0]
    return LiveCursor(
        subscriber=cursor.subscriber,
        cursor_id=cursor.pk,
        start=cursor.start,
        position=cursor.position,
        leased_to=_leased_to(cursor),
        is_in_use=cursor.is_in_use,
        head=cursor.head or 0,
        asking=Asking(cursor.subscriber, _periods(rows)),
        now=cursor.now,
    )


def _periods(rows: Sequence[Any]) -> list[Any]:
    """None of a subscriber that a release made that knew no periods."""
    return [row for row in rows if row.after is not None]


def _leased_to(cursor: Any) -> Any:
    """The cursor keeps what was leased last; the lease may be over, or be one of
    deliveries."""
    turn = getattr(cursor.subscriber, "turn", None)
    is_leased = turn is not None and turn.token is not None and turn.leased_count
    ends = [cursor.position, cursor.leased_to] if is_leased else [cursor.position]
    return max(end for end in ends if end is not None)
