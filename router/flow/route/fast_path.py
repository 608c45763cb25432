"""The fast path: deliveries are marked as they are routed, and sent once committed.

For a subscriber with nothing else due or under way, the look at all that is due could
find only this. Everything else waits for that look, so that it keeps its order and its
chunks grow with the work; so does all whose queue is full, as far as is known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery, Value

from router.conf import conf
from router.db.statements import Select
from router.flow.breaker.probes import lets_all_through, may_be_tried
from router.flow.dispatch.chunk import Chunk, chunk_size, mark_seconds, ring
from router.flow.dispatch.due import IS_HANDLER
from router.flow.dispatch.limits import is_unlimited
from router.models import (
    Clock,
    Delivery,
    DeliveryState,
    EventRecord,
    Subscriber,
    SubscriberState,
)
from router.models.subscriber import is_handler_missing

#: An event and one to whom it is owed.
Owed = tuple[EventRecord, Subscriber]
HasRoom = Callable[[Subscriber], bool]
#: What else will be due so soon is under way in no time: two would then be.
SOON = timedelta(seconds=1)


def choose_fast_path(
    owed: Iterable[Owed], idle: Collection[int], has_room: HasRoom
) -> set[int]:
    """The primary keys of subscribers for whom all that is owed fits into one chunk.

    `idle` are the rows of `IDLE`.
    """
    sizes: dict[Subscriber, list[int]] = defaultdict(list)
    for event, subscriber in owed:
        if subscriber.pk in idle:
            sizes[subscriber].append(event.size_bytes)
    fitting = {
        subscriber for subscriber, each in sizes.items() if _fits(subscriber, each)
    }
    return {subscriber.pk for subscriber in fitting if has_room(subscriber)}


def choose_rung(
    streamed: Iterable[Subscriber], wanted: Container[int], has_room: HasRoom
) -> set[int]:
    """The primary keys of streamed subscribers to ring for now, where they are free."""
    return {
        each.pk
        for each in streamed
        if each.pk in wanted and not is_handler_missing(each) and has_room(each)
    }


def turns_of(
    rows: Iterable[tuple[int]], subscribers: Sequence[Subscriber]
) -> tuple[Chunk, ...]:
    """What rings for those of these subscribers that were marked."""
    marked = {pk for (pk,) in rows}
    return tuple(ring(each) for each in subscribers if each.pk in marked)


def marked_until(now: datetime) -> datetime:
    """The end of the mark of a delivery that is sent for the first time."""
    return now + timedelta(seconds=mark_seconds(0))


def chunks_of(
    rows: Iterable[tuple[int, int]], subscribers: Sequence[Subscriber]
) -> tuple[Chunk, ...]:
    """The chunks of these rows: a delivery's id and its subscriber's."""
    ids: dict[int, list[int]] = defaultdict(list)
    for pk, subscriber_id in rows:
        ids[subscriber_id].append(pk)
    return tuple(
        Chunk(subscriber=subscriber, ids=tuple(ids[subscriber.pk]), is_full=False)
        for subscriber in subscribers
        if subscriber.pk in ids
    )


def _fits(subscriber: Subscriber, sizes: Sequence[int]) -> bool:
    if is_handler_missing(subscriber) or len(sizes) > chunk_size(subscriber):
        return False
    return len(sizes) == 1 or sum(sizes) <= conf().chunk_bytes


def _idle() -> QuerySet[Subscriber, Any]:
    deliveries = Delivery.objects.filter(subscriber=OuterRef("pk"))
    # In their order, and one of them: counting on finding some soon, the planner
    # reads all that is open otherwise.
    soon = deliveries.filter(
        state=DeliveryState.PENDING, due_at__lte=Clock() + Value(SOON)
    )
    next_due = soon.order_by("due_at", "id").values("pk")[:1]
    next_leased = deliveries.leased().next_end()
    return (
        Subscriber.objects.known()
        .alias(next_due=Subquery(next_due), next_leased=Subquery(next_leased))
        .filter(lets_all_through(), IS_HANDLER, is_unlimited(), ramp__isnull=True)
        .filter(may_be_tried(), state=SubscriberState.ACTIVE, is_streamed=False)
        .filter(next_due__isnull=True, next_leased__isnull=True)
        .values_list("pk")
    )


IDLE = Select(_idle)
