"""What may reach a subscriber while its breaker is open: one probe at a time.

A round of probes is no task of its own: a worker that slept between them would keep
others waiting. The dispatcher sends each probe, and its answer says when the next goes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q
from django.db.models.expressions import Combinable

from router.conf import conf
from router.contract.breaker import Breaker
from router.models import (
    BreakerState,
    Clock,
    Delivery,
    DeliveryQuerySet,
    DeliveryState,
    Subscriber,
)

#: A probe is a random one of so many: the oldest events may all be bad ones.
SAMPLE = 500


def lets_all_through() -> Q:
    """Subscribers whose deliveries are not held by a breaker."""
    return ~Q(breaker=BreakerState.OPEN)


def lets_through() -> Q:
    """Subscribers of which a worker may claim the delivery of the outer query."""
    return may_be_tried() & (lets_all_through() | Q(probe_id=OuterRef("pk")))


def may_be_tried() -> Q:
    """Subscribers whose receiver did not ask for a later time."""
    return Q(not_before__isnull=True) | Q(not_before__lte=Clock())


def is_probe_due() -> Combinable:
    """Subscribers whose next probe is due; none while the last probe is in flight."""
    at_work = Delivery.objects.filter(
        state=DeliveryState.LEASED,
        subscriber=OuterRef("pk"),
        pk=OuterRef("probe_id"),
    )
    return Q(probe_at__lte=Clock()) & ~Exists(at_work)


def choose_probe(
    subscriber: Subscriber, due: DeliveryQuerySet, set_next_aside: Callable[[], bool]
) -> tuple[int, ...]:
    """Make a delivery the next probe, in the caller's transaction; nothing when another
    dispatcher was first.

    `due` are those that may go. Where none of them is new, `set_next_aside` may make
    one of the next event of the stream.

    Until the probe is answered, no other is sent for as long as its message may take.
    """
    rows = Subscriber.objects.filter(
        pk=subscriber.pk, breaker=BreakerState.OPEN, probe_at__lte=Clock()
    )
    next_at = Clock() + timedelta(seconds=conf().mark_seconds)
    if not rows.update(probe_at=next_at):
        return ()
    breaker = Breaker(probe_count=subscriber.probe_count)
    looks: list[Callable[[], tuple[int, ...]]] = [
        lambda: _new_event(due),
        lambda: _new_event(due) if set_next_aside() else (),
        lambda: _longest_ago(due),
    ]
    if not breaker.wants_new_event():
        looks.insert(0, looks.pop())
    ids = next(filter(None, (look() for look in looks)), ())
    Subscriber.objects.filter(pk=subscriber.pk).update(probe_id=ids[0] if ids else None)
    return ids


def probe_pause(subscriber: Subscriber, seconds: float) -> timedelta:
    """The wait before the next probe, no shorter than the subscriber's pace."""
    rate = subscriber.rate_per_second
    return max(jittered(seconds), timedelta(seconds=1 / rate if rate else 0))


def jittered(seconds: float) -> timedelta:
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # nosec B311  # jitter


def _new_event(due: DeliveryQuerySet) -> tuple[int, ...]:
    """A random delivery of the oldest or of the newest that were never tried."""
    new = due.filter(last_failed_at__isnull=True)
    order = random.choice([("due_at", "id"), ("-due_at", "-id")])  # nosec B311  # sample
    sample = list(new.order_by(*order).values_list("pk", flat=True)[:SAMPLE])
    return (random.choice(sample),) if sample else ()  # nosec B311  # sample


def _longest_ago(due: DeliveryQuerySet) -> tuple[int, ...]:
    """The delivery that failed longest ago."""
    failed = due.filter(last_failed_at__isnull=False).order_by("last_failed_at", "id")
    return tuple(failed.values_list("pk", flat=True)[:1])
