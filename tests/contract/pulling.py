"""Pull subscribers by hand, and what their pullers say."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone

from router.flow.pull import settling
from router.flow.pull.holding import Lease, Refusal
from router.flow.pull.leasing import pull
from router.flow.route.routing import route_batch
from router.models import Delivery, DeliveryState, Subscriber, Transport
from router.public import publish

TYPE = "thing.happened"


def a_puller(name: str = "erp", **fields: Any) -> Subscriber:
    defaults: dict[str, Any] = {"events": [TYPE], "transport": Transport.PULL}
    return Subscriber.objects.create(name=name, **{**defaults, **fields})


def owe(count: int = 1) -> None:
    """Publish and route."""
    for n in range(count):
        publish(TYPE, {"n": n})
    route_batch()


def take(
    puller: Subscriber, most: int = 10, seconds: float = 30
) -> tuple[Delivery, ...]:
    return pull(puller.pk, most=most, lease_seconds=seconds).deliveries


def leases(deliveries: Sequence[Delivery], seconds: float | None = None) -> list[Lease]:
    return [
        Lease(delivery_id=one.pk, token=one.lease_token, seconds=seconds)
        for one in deliveries
    ]


def stale(delivery: Delivery) -> Lease:
    return Lease(delivery_id=delivery.pk, token=uuid.uuid4(), seconds=1)


def say(
    answer: Callable[..., list[Refusal]], named: Sequence[Lease], **options: Any
) -> list[bool]:
    """Whether each entry went through."""
    told = answer(named, may_touch=lambda one: True, **options)
    return [one is None for one in told]


def extend(named: Sequence[Lease]) -> list[bool]:
    """Whether each lease was extended."""
    told = settling.extend(named, may_touch=lambda one: True)
    return [refusal is None for refusal, _ in told]


def ack(deliveries: Sequence[Delivery]) -> list[bool]:
    return say(settling.ack, leases(deliveries))


def states() -> list[str]:
    return list(Delivery.objects.order_by("pk").values_list("state", flat=True))


def let_leases_run_out() -> None:
    Delivery.objects.filter(state=DeliveryState.LEASED).update(
        leased_until=timezone.now() - timedelta(seconds=1)
    )
