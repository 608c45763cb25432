"""What may reach a subscriber while its breaker is not closed: one probe at a time."""

from __future__ import annotations

import random
from datetime import timedelta

from django.db.models import Exists, F, OuterRef, Q
from django.db.models.expressions import Combinable

from router.conf import conf
from router.models import (
    BreakerState,
    Clock,
    Delivery,
    DeliveryQuerySet,
    DeliveryState,
    Subscriber,
)

#: Past so many doublings the maximum rules.
MOST_DOUBLINGS = 30


def is_closed() -> Q:
    """Subscribers that nothing is held back from."""
    return Q(breaker=BreakerState.CLOSED)


def lets_through() -> Q:
    """Subscribers, as a delivery asks: those whose breaker lets a worker claim it."""
    return is_closed() | Q(probe_id=OuterRef("pk"))


def is_probe_due() -> Combinable:
    """Subscribers to look at again; none while the last probe is at work."""
    at_work = Delivery.objects.filter(
        state=DeliveryState.LEASED,
        subscriber=OuterRef("pk"),
        pk=OuterRef("probe_id"),
    )
    return Q(probe_at__lte=Clock()) & ~Exists(at_work)


def choose_probe(subscriber: Subscriber, due: DeliveryQuerySet) -> tuple[int, ...]:
    """Make the delivery that was probed least recently the next probe, in the caller's
    transaction; nothing when another dispatcher was first."""
    rows = Subscriber.objects.filter(
        pk=subscriber.pk, breaker=subscriber.breaker, probe_at__lte=Clock()
    )
    is_first = rows.update(
        probe_at=Clock() + timedelta(seconds=_wait_seconds(subscriber)),
        probe_count=F("probe_count") + 1,
    )
    if not is_first:
        return ()
    found = due.order_by(F("probed_at").asc(nulls_first=True), "due_at", "id")
    ids = tuple(found.values_list("pk", flat=True)[:1])
    Delivery.objects.filter(pk__in=ids).update(probed_at=Clock())
    Subscriber.objects.filter(pk=subscriber.pk).update(probe_id=ids[0] if ids else None)
    return ids


def first_probe_at() -> Combinable:
    """When to look for the first time at a receiver that went down now."""
    return Clock() + timedelta(seconds=_jittered(conf().probe_first_seconds))


def _wait_seconds(subscriber: Subscriber) -> float:
    if subscriber.breaker == BreakerState.TRICKLE:
        return conf().trickle_seconds
    doublings = min(subscriber.probe_count + 1, MOST_DOUBLINGS)
    wait = conf().probe_first_seconds * 2.0**doublings
    return _jittered(min(wait, conf().probe_maximum_seconds))


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
