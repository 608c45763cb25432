"""The cursors of subscribers: where each stands, and which events its subscriber asked
for at which position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Case, F, Q, QuerySet, Subquery, When

from router.db.statements import Select
from router.flow.cursor.asking import Asking
from router.models import LIVE, Clock, Cursor, LogHead, Subscriber
from router.observe.wanted import Range

#: What is read of a subscriber: what it asks for, and what screens show of it. In the
#: order of the model's fields, which `from_db` takes for granted.
OF_SUBSCRIBER = (
    "id", "name", "title", "transport", "events", "filter", "allowed_types",
    "allowed_sources", "state", "state_reason", "breaker", "not_before", "probe_at",
)  # fmt: skip


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


class _Row(NamedTuple):
    """A cursor with one of its subscriber's periods."""

    cursor_id: int
    start: int
    position: int
    last_leased: int | None
    token: Any
    leased_count: int | None
    is_in_use: bool
    head: int | None
    now: datetime
    #: None of a subscriber that a release made that knew no periods.
    after: int | None
    events: Any
    filter: Any


def live_cursors(*, is_in_use: bool = False) -> list[LiveCursor]:
    """The live cursors that tell what became of events, or those in use alone; by the
    subscriber's key. One statement."""
    rows = (_IN_USE if is_in_use else _ALL).rows()
    of_each = groupby(rows, key=lambda row: row[0])
    return [_live_cursor(list(rows)) for _, rows in of_each]


def live_cursor_of(subscriber: Subscriber) -> LiveCursor | None:
    """The live cursor of one subscriber, deleted or not; None where a release that knew
    no cursors made it. One statement."""
    rows = list(_rows(Q(subscriber=subscriber)))
    return _live_cursor(rows) if rows else None


def _live_cursor(rows: Sequence[Sequence[Any]]) -> LiveCursor:
    size = len(OF_SUBSCRIBER)
    subscriber = Subscriber.from_db(DEFAULT_DB_ALIAS, OF_SUBSCRIBER, rows[0][:size])
    periods = [_Row(*row[size:]) for row in rows]
    row = periods[0]
    return LiveCursor(
        subscriber=subscriber,
        cursor_id=row.cursor_id,
        start=row.start,
        position=row.position,
        leased_to=_leased_to(row),
        is_in_use=row.is_in_use,
        head=row.head or 0,
        asking=Asking(subscriber, [each for each in periods if each.after is not None]),
        now=row.now,
    )


def _leased_to(row: _Row) -> int:
    """The cursor keeps what was leased last; the lease may be over, or be one of
    deliveries."""
    is_leased = row.token is not None and row.leased_count
    return (
        max(row.position, row.last_leased or row.position)
        if is_leased
        else row.position
    )


def _rows(*conditions: Q) -> QuerySet[Cursor, Any]:
    head = Subquery(LogHead.objects.values("position")[:1])
    rows = Cursor.objects.filter(run=LIVE).annotate(
        in_use=Case(When(Cursor.IS_IN_USE, then=True), default=False),
        head=head,
        now=Clock(),
    )
    return (
        rows.filter(*conditions)
        .order_by("subscriber_id", "subscriber__periods__after")
        .values_list(
            *(f"subscriber__{name}" for name in OF_SUBSCRIBER),
            "pk",
            "start",
            "position",
            "leased_to",
            "subscriber__turn__token",
            "subscriber__turn__leased_count",
            "in_use",
            "head",
            "now",
            "subscriber__periods__after",
            "subscriber__periods__events",
            "subscriber__periods__filter",
        )
    )


# One that moved once may have acknowledged something.
_ALL = Select(lambda: _rows(Cursor.IS_IN_USE | Q(position__gt=F("start"))))
_IN_USE = Select(lambda: _rows(Cursor.IS_IN_USE))
