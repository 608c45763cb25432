"""A receiver that is down, and what the router makes of its outage."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from router.models import Delivery, DeliveryState, EventRecord, Subscriber
from router.public import Event
from tests.receivers import Receiver

OPENED = "router.breaker.opened"
RECOVERED = "router.subscriber.recovered"
DISABLED = "router.subscriber.disabled"


class Outage:
    """A receiver that is down until it is up, and fails on some events for ever."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error: Exception = error or ConnectionRefusedError("down")
        self.is_down = True
        self.poison: frozenset[int] = frozenset()
        self.poison_error: Exception = ValueError("choked")

    def __call__(self, event: Event) -> None:
        if self.is_down:
            raise self.error
        if event.data["n"] in self.poison:
            raise self.poison_error


def count(state: DeliveryState) -> int:
    return Delivery.objects.filter(state=state).count()


def notices(type_: str) -> int:
    return EventRecord.objects.filter(type=type_).count()


def breaker_of(receiver: Receiver) -> str:
    return receiver.row.breaker


def last_for(hours: int) -> None:
    """The incident began so long ago."""
    Subscriber.objects.filter(incident_since__isnull=False).update(
        incident_since=timezone.now() - timedelta(hours=hours)
    )
