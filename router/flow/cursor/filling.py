"""Gives the next events above a cursor deliveries, and moves the cursor past them."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import QuerySet

from router.contract.outcomes import Evidence
from router.db.statements import changed
from router.flow.cursor.asking import Asking
from router.flow.cursor.at_gap import readable_to
from router.flow.cursor.insertions import insertions
from router.flow.cursor.matching import Broken
from router.flow.dead_letter import give_up
from router.models import (
    LIVE,
    Cursor,
    Delivery,
    DeliveryState,
    EventRecord,
    Origin,
    Reason,
    Subscriber,
)

#: Positions that one step looks at, and events that it reads where few are to be found.
STEP = 5000
MIN_READ = 100
#: What is read of an event that no filter is asked about: most of it is for filters.
UNFILTERED = (
    "number", "position", "source", "event_id", "type", "partitionkey", "only_for",
    "size_bytes",
)  # fmt: skip


def fill(cursor: Cursor, subscriber: Subscriber, *, to: int, limit: int) -> int:
    """Give the next events up to position `to` deliveries, at most `limit` of them;
    returns how many got one. The look ends after `STEP` positions.

    In the caller's transaction, which keeps others from the cursor. An event that has a
    delivery already keeps it.
    """
    asking = Asking.of(subscriber)
    events = EventRecord.objects.filter(asking.ever(subscriber))
    # The cursor of an ordered subscriber may begin before the subscriber.
    is_past = cursor.position < subscriber.live_from
    to = min(to, subscriber.live_from) if is_past else to
    broken: Broken = {}
    owed, cursor.position = next_owed(
        events,
        asking,
        after=cursor.position,
        to=readable_to(cursor.position, to),
        limit=limit,
        broken=broken,
    )
    origin = Origin.BACKFILL if is_past else Origin.LIVE
    for insertion in insertions(((e, subscriber) for e in owed), origin=origin):
        changed(insertion)
    give_up_on_unfiltered(broken)
    Cursor.objects.filter(pk=cursor.pk).update(position=cursor.position)
    return len(owed)


def next_owed(
    events: QuerySet[EventRecord],
    asking: Asking,
    *,
    after: int,
    to: int,
    limit: int,
    broken: Broken,
) -> tuple[Sequence[EventRecord], int]:
    """The next of these events that are asked for, at most `limit`, and the position up
    to which these are all. It looks at `STEP` positions at most.

    What a filter raises is noted in `broken`.
    """
    until = min(to, after + STEP)
    above = events.filter(position__gt=after, position__lte=until).order_by("position")
    if asking.has_filter:
        size = min(STEP, max(MIN_READ, 2 * limit))
        read = list(above.defer("data")[:size])
    else:
        size = min(STEP, limit)
        read = list(above.only(*UNFILTERED)[:size])
    if len(read) == size:
        until = read[-1].position or 0
    owed: list[EventRecord] = []
    for event in asking.owed(read, broken):
        if len(owed) == limit:
            for key in [key for key in broken if key[0] == event.number]:
                del broken[key]
            return owed, (event.position or 0) - 1
        owed.append(event)
    return owed, until


def give_up_on_unfiltered(broken: Broken, *, run: int = LIVE) -> None:
    """A filter that raised decides nothing: an operator must decide."""
    for (number, subscriber_id), error in broken.items():
        untried = Delivery.objects.filter(state=DeliveryState.PENDING, attempts=0)
        of_event = {"event": number, "subscriber": subscriber_id, "run": run}
        evidence = Evidence("FilterFailed", type(error).__name__)
        for delivery in untried.filter(**of_event):
            give_up(delivery, reason=Reason.REJECTED, evidence=evidence)
