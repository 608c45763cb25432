"""Steps of the tests of alerts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from router.models import Alert, Delivery, EventRecord, Subscriber
from router.observe.alerts.judging import judge_alerts
from router.observe.overview import subscribers_overview

OPENED = "router.alert.opened"
CLOSED = "router.alert.closed"
TIMES = ("since", "opened_at", "calm_since")


def look(*, after_minutes: float = 0) -> None:
    """What a dispatcher does once a minute, so many minutes later."""
    passed = timedelta(minutes=after_minutes)
    Alert.objects.update(**{name: F(name) - passed for name in TIMES})
    judge_alerts(subscribers_overview())


def look_for(minutes: int) -> None:
    """So many looks, a minute between two."""
    for _ in range(minutes):
        look(after_minutes=1)


def published(type_: str) -> list[Any]:
    """The data of each event of this type."""
    events = EventRecord.objects.filter(type=type_).order_by("number")
    return list(events.values_list("data", flat=True))


def rules(type_: str) -> list[str]:
    return [data["alert"]["rule"] for data in published(type_)]


def make_owed_for(subscriber: Subscriber, minutes: float) -> None:
    """What the subscriber is owed is so old."""
    created_at = timezone.now() - timedelta(minutes=minutes)
    Delivery.objects.filter(subscriber=subscriber).update(created_at=created_at)
