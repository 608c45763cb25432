"""Pull: a subscriber outside asks for what it is owed, and leases it.

The same states, counters and fence as where a worker delivers: the attempt is counted
and committed before the answer goes out, and every later write names the token.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import F

from router.flow.claiming import Claim
from router.models import (
    Clock,
    Delivery,
    DeliveryQuerySet,
    DeliveryState,
    Subscriber,
    SubscriberState,
    Transport,
)


def has_due(subscriber_id: int) -> bool:
    """Whether there is something to pull; takes no lock."""
    return _pullable(subscriber_id).exists()


def pull(subscriber: Subscriber, *, most: int, lease_seconds: float) -> Claim | None:
    """Lease the next due deliveries, `most` at most; None when nothing is due.

    Several may pull at once: none gets what another has. A suspect, whose lease ran out
    before, is handed out alone.
    """
    token = uuid.uuid4()
    with transaction.atomic():
        ids = _next_ids(subscriber.pk, most)
        if not ids:
            return None
        Delivery.objects.filter(pk__in=ids).update(
            state=DeliveryState.LEASED,
            lease_token=token,
            leased_until=Clock() + timedelta(seconds=lease_seconds),
            pulled_at=Clock(),
            attempts=F("attempts") + 1,
        )
        leased = Delivery.objects.filter(pk__in=ids).select_related("event")
        deliveries = tuple(leased.order_by("event__position", "pk"))
    return Claim(subscriber=subscriber, token=token, deliveries=deliveries)


def _next_ids(subscriber_id: int, most: int) -> list[int]:
    rows = (
        _pullable(subscriber_id)
        .select_for_update(skip_locked=True, of=("self",))
        .order_by("due_at", "pk")
        .values_list("pk", "vanished")[:most]
    )
    return _together(list(rows))


def _together(rows: Sequence[tuple[int, int]]) -> list[int]:
    """The first alone if it is a suspect; else all that are none."""
    if rows and rows[0][1]:
        return [rows[0][0]]
    return [pk for pk, vanished in rows if not vanished]


def _pullable(subscriber_id: int) -> DeliveryQuerySet:
    return Delivery.objects.filter(
        subscriber=subscriber_id,
        subscriber__state=SubscriberState.ACTIVE,
        subscriber__transport=Transport.PULL,
        subscriber__deleted_at__isnull=True,
    ).due()
