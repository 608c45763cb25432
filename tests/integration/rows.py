"""Rows of the log made by hand, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from router.models import (
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    Reason,
    Subscriber,
)


@contextmanager
def undone() -> Iterator[None]:
    """What is written to the database within is rolled back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def a_subscriber(name: str, **fields: Any) -> Subscriber:
    title = name.replace("_", " ").capitalize()
    return Subscriber.objects.create(name=name, **{"title": title, **fields})


def an_event(*, is_routed: bool = True, **fields: Any) -> EventRecord:
    last = EventRecord.objects.aggregate(at=Max("position"))["at"] or 0
    defaults: dict[str, Any] = {
        "event_id": f"event-{EventRecord.objects.count() + 1}",
        "source": "/shop",
        "type": "purchase.completed",
        "subject": "order-1",
        "time": timezone.now(),
        "data": {"secret": "private to the customer"},
        "digest": "",
        "size_bytes": 2,
        "position": last + 1 if is_routed else None,
    }
    record = EventRecord.objects.create(**{**defaults, **fields})
    record.refresh_from_db()
    return record


def a_delivery(
    event: EventRecord, subscriber: Subscriber, state: str = "PENDING", **fields: Any
) -> Delivery:
    now = timezone.now()
    defaults: dict[str, Any] = {"due_at": now, "created_at": event.recorded_at}
    if state == DeliveryState.LEASED:
        defaults |= {"leased_until": now + timedelta(seconds=90), "attempts": 1}
    if state == DeliveryState.ACKNOWLEDGED:
        defaults |= {"acknowledged_at": now, "attempts": 1}
    return Delivery.objects.create(
        event=event, subscriber=subscriber, state=state, **{**defaults, **fields}
    )


def a_failed_task(delivery: Delivery, **fields: Any) -> FailedTask:
    defaults: dict[str, Any] = {
        "reason": Reason.EXHAUSTED,
        "error": "builtins.ValueError: no such warehouse",
        "attempts": delivery.attempts,
        "opened_at": timezone.now(),
    }
    return FailedTask.objects.create(
        delivery=delivery,
        event_id=delivery.event_id,
        subscriber_id=delivery.subscriber_id,
        **{**defaults, **fields},
    )
