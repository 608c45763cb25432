"""Gives the next events of a run deliveries, and moves its cursor past them."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Exists, OuterRef, QuerySet

from router.db.patterns import within
from router.db.statements import changed
from router.flow import order
from router.flow.cursor.asking import Asking
from router.flow.cursor.at_gap import readable_to
from router.flow.cursor.filling import give_up_on_unfiltered, next_owed
from router.flow.cursor.giving import given
from router.flow.cursor.insertions import insertions
from router.flow.cursor.matching import Broken
from router.models import (
    Clock,
    Cursor,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    FailedTaskState,
    Run,
    Subscriber,
)

#: The event comes by itself, or an operator decides about it.
UNSETTLED = (DeliveryState.PENDING, DeliveryState.LEASED, DeliveryState.DEAD)


def fill_run(cursor: Cursor, subscriber: Subscriber, run: Run, *, limit: int) -> int:
    """`fill` for a run: its next events, except those with a delivery that is open or
    dead; of `only_failed` these dead ones are retried instead. Returns how many.

    In the caller's transaction, which keeps others from the cursor, and for
    `only_failed` holds the head's lock.
    """
    broken: Broken = {}
    asked, position = next_owed(
        _events_of(run),
        Asking.of_run(subscriber, run),
        after=cursor.position,
        to=readable_to(cursor.position, run.end),
        limit=limit,
        broken=broken,
    )
    give = _retry if run.only_failed else _insert
    events = give(run, subscriber, asked) if asked else []
    give_up_on_unfiltered(broken, run=run.number)
    if events:
        names = [(event.source, event.event_id) for event in events]
        changed(given(run.pk, run.rate_per_second, names))
    cursor.position = position
    Cursor.objects.filter(pk=cursor.pk).update(position=position)
    return len(events)


def _events_of(run: Run) -> QuerySet[EventRecord]:
    """The events that a run may give, wherever they are in the log."""
    events = EventRecord.objects.filter(within("type", run.events), only_for=None)
    if run.chosen is not None:
        events = events.filter(number__in_array=run.chosen)
    if run.only_failed:
        dead = Delivery.objects.filter(
            event=OuterRef("number"),
            subscriber=run.subscriber_id,
            state__no_index=DeliveryState.DEAD,
        )
        events = events.filter(Exists(dead))
    return events


def _insert(
    run: Run, subscriber: Subscriber, events: Sequence[EventRecord]
) -> Sequence[EventRecord]:
    # Without a condition on their state: an index of the open ones has all of them.
    numbers = [event.number for event in events]
    rows = Delivery.objects.filter(event__number__in_array=numbers)
    states = rows.filter(subscriber=subscriber).values_list("event_id", "state")
    unsettled = {number for number, state in states if state in UNSETTLED}
    free = [event for event in events if event.number not in unsettled]
    owed = ((event, subscriber) for event in free)
    for insertion in insertions(owed, run=run.number, origin=run.kind):
        changed(insertion)
    return free


def _retry(
    run: Run, subscriber: Subscriber, events: Sequence[EventRecord]
) -> Sequence[EventRecord]:
    numbers = [event.number for event in events]
    open_tasks = FailedTask.objects.open().filter(
        event__number__in_array=numbers, subscriber=subscriber
    )
    tasks = list(open_tasks.order_by("pk").values_list("pk", "delivery_id", "event_id"))
    FailedTask.objects.filter(pk__in=[pk for pk, *_ in tasks]).open().update(
        state=FailedTaskState.RETRIED,
        settled_at=Clock(),
        settled_by_name=run.requested_by,
        settled_note=run.reason,
    )
    dead = [delivery_id for _, delivery_id, _ in tasks]
    Delivery.objects.filter(pk__in_array=dead, state=DeliveryState.DEAD).revive()
    order.rejoin(dead)
    retried = {number for *_, number in tasks}
    return [event for event in events if event.number in retried]
