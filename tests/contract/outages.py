"""A receiver that is down, and what the router makes of its outage."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from router.models import Cursor, Delivery, DeliveryState, EventRecord, Subscriber
from router.public import Event
from router.testing import acknowledged
from tests.contract.steps import TYPE
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
        # An error that is raised again keeps its traceback, which would grow for ever.
        if self.is_down:
            raise self.error.with_traceback(None)
        if event.data["n"] in self.poison:
            raise self.poison_error.with_traceback(None)


def acknowledged_count() -> int:
    return acknowledged().count


def owed_count() -> int:
    """What waits: deliveries, and events of the tests' type above cursors."""
    waiting = Delivery.objects.filter(state=DeliveryState.PENDING).count()
    positions = Cursor.objects.values_list("position", flat=True)
    above = (
        EventRecord.objects.filter(position__gt=position, type=TYPE).count()
        for position in positions
    )
    return waiting + sum(above)


def notices(type_: str) -> int:
    return EventRecord.objects.filter(type=type_).count()


def breaker_of(receiver: Receiver) -> str:
    return receiver.row.breaker


def last_for(hours: int) -> None:
    """The incident began so long ago."""
    Subscriber.objects.filter(incident_since__isnull=False).update(
        incident_since=timezone.now() - timedelta(hours=hours)
    )
