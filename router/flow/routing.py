"""Step 2, route: positions to new events, a delivery to each matching subscriber.

One transaction under the head's lock. A subscriber's state decides dispatch, never
routing: whoever is paused today is owed today's events.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models import QuerySet

from router.conf import conf
from router.contract.outcomes import Evidence
from router.flow.giving_up import give_up
from router.flow.head import try_lock_head
from router.flow.matching import Broken, Matching
from router.models import Delivery, EventRecord, LogHead, Reason, Subscriber

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Routed:
    """What one batch came to."""

    event_count: int
    delivery_count: int
    last_number: int


NOTHING = Routed(event_count=0, delivery_count=0, last_number=0)


def has_unrouted(*, after: int = 0) -> bool:
    """Whether an event above the number `after` waits; takes no lock."""
    return _unrouted(after).exists()


def route_batch(*, after: int = 0) -> Routed:
    """Route the next events above the number `after`, halving the batch on failure.

    An event whose deliveries can't be written must not stop those before it.
    Raises the failure when even a single event can't be routed.
    """
    limit = conf().route_limit
    while True:
        try:
            return _route(after=after, delivery_limit=limit)
        except OperationalError:
            raise
        except DatabaseError:
            if limit == 1:
                raise
            limit = max(1, limit // 2)
            logger.warning("A batch could not be routed; trying %d at most", limit)


def _route(*, after: int, delivery_limit: int) -> Routed:
    with transaction.atomic():
        locked = try_lock_head()
        if locked is None:
            return NOTHING
        head, now = locked
        subscribers = list(Subscriber.objects.known())
        limit = max(1, delivery_limit // max(1, len(subscribers)))
        events = list(_unrouted(after).order_by("number").defer("data")[:limit])
        if not events:
            return NOTHING
        _give_positions(head, events)
        broken: Broken = {}
        deliveries = list(_deliveries(events, subscribers, now, broken))
        Delivery.objects.bulk_create(deliveries, batch_size=2000)
        if broken:
            _give_up_on_unfiltered(deliveries, broken)
    return Routed(
        event_count=len(events),
        delivery_count=len(deliveries),
        last_number=events[-1].number,
    )


def _unrouted(after: int) -> QuerySet[EventRecord]:
    return EventRecord.objects.filter(position__isnull=True, number__gt=after)


def _give_positions(head: LogHead, events: Sequence[EventRecord]) -> None:
    numbers = [event.number for event in events]
    marks = ", ".join(["%s"] * len(numbers))
    table = EventRecord._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f'UPDATE "{table}" SET "position" = %s + "place"."row" FROM ('  # noqa: S608 - names from the model
            'SELECT "number", row_number() OVER (ORDER BY "number") AS "row" '
            f'FROM "{table}" WHERE "number" IN ({marks})) AS "place" '
            f'WHERE "{table}"."number" = "place"."number"',
            [head.position, *numbers],
        )
    head.position += len(events)
    head.save(update_fields=["position"])


def _deliveries(
    events: Iterable[EventRecord],
    subscribers: Sequence[Subscriber],
    now: datetime,
    broken: Broken,
) -> Iterable[Delivery]:
    for event in events:
        matching = Matching(event, broken)
        for subscriber in subscribers:
            if matching.is_owed(subscriber):
                yield Delivery(
                    event=event,
                    subscriber=subscriber,
                    ordering_key=event.partitionkey,
                    due_at=now,
                    created_at=now,
                )


def _give_up_on_unfiltered(deliveries: Iterable[Delivery], broken: Broken) -> None:
    """A filter that raised says neither yes nor no: a person must."""
    for delivery in deliveries:
        error = broken.get((delivery.event_id, delivery.subscriber_id))
        if error is not None:
            evidence = Evidence(error=f"FilterFailed: {type(error).__name__}")
            give_up(delivery, reason=Reason.REJECTED, evidence=evidence)
