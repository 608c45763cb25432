"""What the client's tests sell, and what becomes of what a consumer is given."""

from __future__ import annotations

from datetime import datetime, timedelta

from router.client import Consumer
from router.flow.route.routing import route_batch
from router.flow.sweep import sweep
from router.models import Attempt, Clock, Delivery
from router.public import publish
from tests.servers.waiting import wait_until

SHORT_LEASE_SECONDS = 3


def sold(*seats: int) -> None:
    for seat in seats:
        publish("ticket.sold", {"seat": seat}, source="/test")
    route_batch()


def seats_until(consumer: Consumer, last: int) -> list[int]:
    seats = []
    for event in consumer:
        seats.append(event.data["seat"])
        if seats[-1] == last:
            consumer.stop()
    return seats


def attempts() -> list[tuple[str, str]]:
    return list(Attempt.objects.order_by("pk").values_list("result", "error"))


def lease_ends() -> list[datetime]:
    assert sweep() == 0
    rows = Delivery.objects.order_by("pk")
    return list(rows.values_list("leased_until", flat=True))


def wait_for_extensions(*, seconds: float) -> None:
    until = lease_ends()[0] + timedelta(seconds=seconds)
    wait_until(lambda: lease_ends()[0] > until)


def lose_leases() -> None:
    Delivery.objects.update(leased_until=Clock() - timedelta(seconds=1))
    assert sweep() == 1
