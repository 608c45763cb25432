"""Which of the leases that a puller names it still holds."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from router.flow.lease import Claim
from router.models import Clock, Delivery, DeliveryState, Subscriber, Transport

#: Whether the caller may settle for this subscriber.
MayTouch = Callable[[Subscriber], bool]
#: Why an entry is refused; None for one that went through.
Refusal = str | None


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A lease as the puller names it; `seconds` is the wait or the extension asked."""

    delivery_id: int
    token: uuid.UUID | None
    seconds: float | None = None

    @property
    def pair(self) -> tuple[int, uuid.UUID | None]:
        return self.delivery_id, self.token


@dataclass(frozen=True, kw_only=True)
class Holding(Claim[Delivery]):
    """Deliveries of one subscriber under the leases of several pulls."""

    @property
    def tokens(self) -> Collection[uuid.UUID]:
        return {one.lease_token for one in self.deliveries if one.lease_token}

    def only(self, *deliveries: Delivery) -> Holding:
        return Holding(
            subscriber=self.subscriber, token=self.token, deliveries=deliveries
        )


def lock_held(leases: Iterable[Lease], *, may_touch: MayTouch) -> dict[Lease, Any]:
    """The deliveries whose leases hold, locked, each with `now` by the database.

    A lease past its time is lost even before the sweep has seen it: whoever pulls
    next gets the delivery. What the caller may not touch is as if it were not there.
    """
    named = {one.pair: one for one in leases if one.token}
    rows = (
        Delivery.objects.filter(
            pk__in={pk for pk, _ in named},
            lease_token__in={token for _, token in named},
            state=DeliveryState.LEASED,
            leased_until__gt=Clock(),
            subscriber__transport=Transport.PULL,
        )
        .annotate(now=Clock())
        .select_related("subscriber")
        .defer("subscriber__custom_headers")
        .select_for_update(of=("self",))
        .order_by("pk")
    )
    held = {named.get((row.pk, row.lease_token)): row for row in rows}
    return {
        lease: row for lease, row in held.items() if lease and may_touch(row.subscriber)
    }


def holdings(held: Iterable[Delivery]) -> list[Holding]:
    """The same by subscriber, as claims that settling takes."""
    of: defaultdict[int, list[Delivery]] = defaultdict(list)
    for delivery in held:
        of[delivery.subscriber_id].append(delivery)
    return [
        Holding(
            subscriber=deliveries[0].subscriber,
            token=deliveries[0].lease_token or uuid.uuid4(),
            deliveries=tuple(deliveries),
        )
        for _, deliveries in sorted(of.items())
    ]
