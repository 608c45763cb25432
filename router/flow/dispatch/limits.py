"""How many deliveries a subscriber may have in flight, and how fast they start.

This binds receivers elsewhere, and handlers that a person gave a limit. While one
message of them is on its way to a worker no other is sent: a receiver that is slow
fills neither the queue nor the workers.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Count, F, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from router.conf import conf
from router.db.pipeline import rows_of_first
from router.db.statements import SUBSCRIBER, Select
from router.flow.breaker.pace import is_in_pace
from router.flow.breaker.probes import lets_all_through
from router.models import (
    REMOTE,
    Delivery,
    DeliveryQuerySet,
    DeliveryState,
    Subscriber,
)

IS_ON_ITS_WAY = Q(state=DeliveryState.PENDING)
IS_LEASED = Q(state=DeliveryState.LEASED)


def is_limited(subscriber: Subscriber) -> bool:
    """Whether it may have so much under way, or so much a second, and no more."""
    is_remote = subscriber.transport in REMOTE
    return is_remote or bool(subscriber.rate_per_second or subscriber.in_flight_limit)


def is_unlimited() -> Q:
    """Subscribers without such a limit."""
    return ~Q(transport__in=REMOTE) & Q(
        rate_per_second__isnull=True, in_flight_limit__isnull=True
    )


def in_flight_limit(subscriber: Subscriber) -> int:
    """How many deliveries to a limited subscriber may be under way at once."""
    return subscriber.in_flight_limit or conf().webhook_in_flight


def with_flight(
    subscribers: QuerySet[Subscriber], deliveries: DeliveryQuerySet
) -> QuerySet[Subscriber]:
    """With what each has under way, for `is_within_limits`, and the next of it;
    `deliveries` are those of the outer query's subscriber."""
    on_its_way = deliveries.on_its_way().order_by("dispatched_until").values("pk")
    leased = deliveries.leased().order_by().values("subscriber")
    return subscribers.alias(
        next_on_its_way=Subquery(on_its_way[:1]),
        next_leased=Subquery(deliveries.leased().next_end()),
        leased_count=_total(leased, Count("pk")),
        chunk_count=_total(leased, Count("lease_token", distinct=True)),
    )


def is_within_limits() -> Q:
    """Subscribers that may have another chunk, as far as a look without a lock tells.
    A receiver that is down is its probes' affair."""
    has_place = Q(
        leased_count__lt=Coalesce(
            F("in_flight_limit"), Value(conf().webhook_in_flight)
        ),
        chunk_count__lt=conf().webhook_chunks_in_flight,
    )
    is_free = Q(next_on_its_way__isnull=True)
    return is_unlimited() | ~lets_all_through() | Q(is_free, has_place, is_in_pace())


def allowance(subscriber: Subscriber) -> int:
    """How many deliveries the next chunk of a limited subscriber may have.

    Runs in the caller's transaction, which holds the subscriber's row from here on:
    two dispatchers must not fill the same room. 0 also while another holds it.
    """
    own = {"subscriber_id": subscriber.pk}
    # The second reads later than the lock: what was read before may be of another
    # dispatcher's past.
    held, flight = rows_of_first([_HELD.bound(**own), _FLIGHT.bound(**own)])
    if not held:
        return 0
    [row] = _HELD.as_models(held)
    leased, chunks, on_their_way = flight[0] if flight else (0, 0, 0)
    if on_their_way or chunks >= conf().webhook_chunks_in_flight:
        return 0
    room = in_flight_limit(row) - leased
    if row.rate_per_second:
        room = min(room, max(1, int(row.rate_per_second * conf().chunk_seconds)))
    return max(0, int(room))


def _held() -> QuerySet[Subscriber]:
    rows = Subscriber.objects.known().filter(is_in_pace(), pk=SUBSCRIBER)
    limits = rows.order_by().only("in_flight_limit", "rate_per_second")
    return limits.select_for_update(skip_locked=True)


def _flight() -> QuerySet[Delivery, Any]:
    """Leased deliveries, their chunks, and deliveries on their way; no row if none."""
    rows = Delivery.objects.filter(subscriber=SUBSCRIBER).in_flight().order_by()
    counted = rows.values("subscriber").annotate(
        leased=Count("pk", filter=IS_LEASED),
        chunks=Count("lease_token", filter=IS_LEASED, distinct=True),
        on_their_way=Count("pk", filter=IS_ON_ITS_WAY),
    )
    return counted.values_list("leased", "chunks", "on_their_way")


def _total(leased: QuerySet[Any, Any], count: Count) -> Coalesce:
    return Coalesce(Subquery(leased.annotate(total=count).values("total")), Value(0))


_HELD = Select(_held)
_FLIGHT = Select(_flight)
