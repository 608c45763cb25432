"""Gives the next events above a cursor deliveries, and moves the cursor past them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from itertools import groupby

from django.db.models import Q, QuerySet

from router.contract.outcomes import Evidence
from router.db.bulk_insert import Insert
from router.db.patterns import within
from router.db.statements import Statement, changed
from router.flow.cursor.in_line import Row, first_of_their_keys
from router.flow.cursor.matching import Broken, Filters, Matching
from router.flow.dead_letter import give_up
from router.models import (
    LIVE,
    Clock,
    Cursor,
    Delivery,
    DeliveryState,
    EventRecord,
    Period,
    Reason,
    Subscriber,
)
from router.models.cursor import BEFORE_EVERYTHING

#: Positions that one step looks at, and events that it reads where few are to be found.
STEP = 5000
MIN_READ = 100
#: After which position, a subscriber as it asked then, and its filter.
Asked = tuple[int, Subscriber, Filters]
#: What differs between the deliveries → its type.
KINDS = {"event_id": "bigint", "subscriber_id": "bigint", "ordering_key": "text"}


class Asking:
    """A subscriber as it asked at each position."""

    def __init__(self, subscriber: Subscriber) -> None:
        periods = Period.objects.filter(subscriber=subscriber).order_by("-after")
        # A release that knew no periods may have made the subscriber.
        self._asked = [_as_of(subscriber, each) for each in periods] or [
            (BEFORE_EVERYTHING, subscriber, Filters([subscriber]))
        ]

    def owed(
        self, events: Sequence[EventRecord], broken: Broken
    ) -> Iterator[EventRecord]:
        """Those of these events that it asked for, in their order."""
        for (_, asked, filters), group in groupby(events, self._period):
            for event in filters.with_data(list(group)):
                if Matching(event, filters, broken).is_owed(asked):
                    yield event

    def ever(self, subscriber: Subscriber) -> Q:
        """Events that it may have asked for at some time."""
        patterns = {each for _, asked, _ in self._asked for each in asked.events}
        is_asked_for = within("type", patterns) & Q(only_for=None)
        return is_asked_for | Q(only_for=subscriber)

    def _period(self, event: EventRecord) -> Asked:
        position = event.position or 0
        return next(each for each in self._asked if each[0] < position)


def _as_of(subscriber: Subscriber, period: Period) -> Asked:
    asked = copy(subscriber)
    asked.events, asked.filter = period.events, period.filter
    return period.after, asked, Filters([asked])


def fill(cursor: Cursor, subscriber: Subscriber, *, to: int, limit: int) -> int:
    """Give the next events up to position `to` deliveries, at most `limit` of them;
    returns how many got one. The look ends after `STEP` positions.

    In the caller's transaction, which keeps others from the cursor. An event that has a
    delivery already keeps it.
    """
    asking = Asking(subscriber)
    until = min(to, cursor.position + STEP)
    size = min(STEP, max(MIN_READ, 2 * limit))
    events = list(
        _events(cursor.position, until).filter(asking.ever(subscriber))[:size]
    )
    if len(events) == size:
        until = events[-1].position or 0
    broken: Broken = {}
    owed: list[EventRecord] = []
    for event in asking.owed(events, broken):
        if len(owed) == limit:
            until = (event.position or 0) - 1
            broken.pop((event.number, subscriber.pk), None)
            break
        owed.append(event)
    for insertion in _insertions(owed, subscriber):
        changed(insertion)
    give_up_on_unfiltered(broken)
    cursor.position = until
    Cursor.objects.filter(pk=cursor.pk).update(position=until)
    return len(owed)


def give_up_on_unfiltered(broken: Broken) -> None:
    """A filter that raised decides nothing: an operator must decide."""
    for (number, subscriber_id), error in broken.items():
        untried = Delivery.objects.filter(state=DeliveryState.PENDING, attempts=0)
        of_event = {"event": number, "subscriber": subscriber_id, "run": LIVE}
        evidence = Evidence("FilterFailed", type(error).__name__)
        for delivery in untried.filter(**of_event):
            give_up(delivery, reason=Reason.REJECTED, evidence=evidence)


def _events(after: int, until: int) -> QuerySet[EventRecord]:
    events = EventRecord.objects.filter(position__gt=after, position__lte=until)
    return events.order_by("position").defer("data")


def _insertions(
    owed: Sequence[EventRecord], subscriber: Subscriber
) -> Iterator[Statement]:
    """The statements that insert deliveries of these, except those that are there."""
    free: list[Row] = []
    in_line: list[Row] = []
    for event in owed:
        key = event.partitionkey if subscriber.is_ordered else ""
        (in_line if key else free).append((event.number, subscriber.pk, key))
    first, held = first_of_their_keys(in_line)
    for insert, rows in ((_WAITING, [*free, *first]), (_HELD, held)):
        if rows:
            given = insert.of(rows)
            # SQLite takes ON for that of a join, without a condition before it.
            sql = f"{given.sql} WHERE TRUE ON CONFLICT DO NOTHING"
            yield Statement(sql, given.parameters)


_WAITING = Insert(Delivery, KINDS, lambda: {"due_at": Clock(), "created_at": Clock()})
_HELD = Insert(Delivery, KINDS, lambda: {"created_at": Clock()})
