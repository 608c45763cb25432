"""Step 4, claim: take the lease, count the attempt, commit; only then comes the work.

Counted and committed before the work, an event that kills its worker is known by its
count. A suspect, whose worker vanished before, shares a lease with no other: only what
is leased can vanish again. What is claimable is read here, never believed from the
message.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q

from router.conf import conf
from router.flow.probing import let_through
from router.models import (
    Clock,
    Delivery,
    DeliveryQuerySet,
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


def claims(subscriber_id: int, ids: Sequence[int]) -> Iterator[Claim]:
    """What of these deliveries is claimable: the others together, then each suspect,
    claimed only when it is asked for."""
    left = set(ids)
    together = claim(subscriber_id, ids)
    if together is not None:
        left.difference_update(together.ids)
        yield together
    while (suspect := _next_suspect(subscriber_id, left)) is not None:
        left.remove(suspect)
        alone = claim(subscriber_id, [suspect])
        if alone is not None:
            yield alone


def claim(subscriber_id: int, ids: Sequence[int]) -> Claim | None:
    """Lease what of these deliveries is claimable; None when nothing is.

    A suspect is, where it is the only one asked for. What is pulled is nothing for a
    worker, whatever the message says.
    """
    pushed = Subscriber.objects.known().exclude(transport=Transport.PULL)
    subscriber = pushed.filter(pk=subscriber_id).first()
    if subscriber is None:
        return None
    token = uuid.uuid4()
    with transaction.atomic():
        if not _lease(subscriber, ids, token):
            return None
        leased = (
            Delivery.objects.filter(pk__in=ids, lease_token=token)
            .select_related("event")
            .order_by("event__position")
        )
        deliveries = tuple(leased)
    return Claim(subscriber=subscriber, token=token, deliveries=deliveries)


def _next_suspect(subscriber_id: int, ids: Collection[int]) -> int | None:
    # For no ids Django makes no statement: a healthy chunk pays nothing.
    suspects = _claimable(subscriber_id, ids).filter(vanished__gt=0)
    return suspects.order_by("pk").values_list("pk", flat=True).first()


def _lease(subscriber: Subscriber, ids: Sequence[int], token: uuid.UUID) -> int:
    company = Q() if len(ids) == 1 else Q(vanished=0)
    claimable = (
        _claimable(subscriber.pk, ids)
        # The way of carrying it out is the one that was read.
        .filter(company, subscriber__transport=subscriber.transport)
        .select_for_update(skip_locked=True, of=("self",))
        .order_by("pk")
    )
    return Delivery.objects.filter(pk__in=claimable.values("pk")).update(
        state=DeliveryState.LEASED,
        lease_token=token,
        leased_until=Clock() + timedelta(seconds=conf().lease_seconds),
        attempts=F("attempts") + 1,
    )


def _claimable(subscriber_id: int, ids: Collection[int]) -> DeliveryQuerySet:
    return Delivery.objects.filter(
        let_through(),
        pk__in=ids,
        subscriber=subscriber_id,
        subscriber__state=SubscriberState.ACTIVE,
        subscriber__deleted_at__isnull=True,
    ).due()
