"""Gives the next events above a cursor deliveries, and moves the cursor past them."""

from __future__ import annotations

from django.db.models import QuerySet

from router.contract.outcomes import Evidence
from router.db.statements import changed
from router.flow.cursor.asking import Asking
from router.flow.cursor.insertions import insertions
from router.flow.cursor.matching import Broken
from router.flow.dead_letter import give_up
from router.models import (
    LIVE,
    Cursor,
    Delivery,
    DeliveryState,
    EventRecord,
    Reason,
    Subscriber,
)

#: Positions that one step looks at, and events that it reads where few are to be found.
STEP = 5000
MIN_READ = 100


def fill(cursor: Cursor, subscriber: Subscriber, *, to: int, limit: int) -> int:
    """Give the next events up to position `to` deliveries, at most `limit` of them;
    returns how many got one. The look ends after `STEP` positions.

    In the caller's transaction, which keeps others from the cursor. An event that has a
    delivery already keeps it.
    """
    asking = Asking.of(subscriber)
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
    for insertion in insertions((event, subscriber) for event in owed):
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
