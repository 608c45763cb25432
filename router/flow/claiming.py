"""Step 4, claim: take the lease, count the attempt, commit; only then comes the work.

Counted and committed before the work, an event that kills its worker is known by its
count. What is claimable is read here, never believed from the message.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q

from router.conf import conf
from router.flow.probing import let_through
from router.models import (
    Clock,
    Delivery,
    DeliveryState,
    Subscriber,
    SubscriberState,
    Transport,
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Deliveries under one lease, with their events, in order of position."""

    subscriber: Subscriber
    token: uuid.UUID
    deliveries: tuple[Delivery, ...]

    def only(self, *deliveries: Delivery) -> Claim:
        """The same lease, narrowed."""
        return Claim(
            subscriber=self.subscriber, token=self.token, deliveries=deliveries
        )

    @property
    def tokens(self) -> Collection[uuid.UUID]:
        """What proves the lease."""
        return (self.token,)

    @property
    def ids(self) -> list[int]:
        return [delivery.pk for delivery in self.deliveries]


def claim(subscriber_id: int, ids: Sequence[int]) -> Claim | None:
    """Lease what of these deliveries is claimable; None when nothing is."""
    subscriber = Subscriber.objects.known().filter(pk=subscriber_id).first()
    if subscriber is None:
        return None
    token = uuid.uuid4()
    with transaction.atomic():
        if not _lease(subscriber_id, ids, token):
            return None
        leased = (
            Delivery.objects.filter(pk__in=ids, lease_token=token)
            .select_related("event")
            .order_by("event__position")
        )
        deliveries = tuple(leased)
    return Claim(subscriber=subscriber, token=token, deliveries=deliveries)


def _lease(subscriber_id: int, ids: Sequence[int], token: uuid.UUID) -> int:
    # Whoever made a worker vanish runs alone, so that it takes no innocent ones along.
    company = Q() if len(ids) == 1 else Q(vanished=0)
    claimable = (
        Delivery.objects.filter(
            company,
            let_through(),
            pk__in=ids,
            subscriber=subscriber_id,
            subscriber__state=SubscriberState.ACTIVE,
            subscriber__deleted_at__isnull=True,
        )
        # Switched while the message was on its way: a puller comes by itself.
        .exclude(subscriber__transport=Transport.PULL)
        .due()
        .select_for_update(skip_locked=True, of=("self",))
        .order_by("pk")
    )
    return Delivery.objects.filter(pk__in=claimable.values("pk")).update(
        state=DeliveryState.LEASED,
        lease_token=token,
        leased_until=Clock() + timedelta(seconds=conf().lease_seconds),
        attempts=F("attempts") + 1,
    )
