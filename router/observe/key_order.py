"""What a held delivery waits for: another of the same key."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, OuterRef, Subquery, When

from router.models import Delivery, DeliveryQuerySet, DeliveryState


def with_blockers(rows: DeliveryQuerySet) -> DeliveryQuerySet:
    """With `waits_for`: the number of the event that each held delivery waits for."""
    before = _before(OuterRef("subscriber"), OuterRef("run"), OuterRef("ordering_key"))
    number = Subquery(before.values("event_id")[:1])
    held = {"state": DeliveryState.PENDING, "due_at__isnull": True}
    return rows.annotate(waits_for=Case(When(**held, then=number)))


def blocker_of(delivery: Delivery) -> Delivery | None:
    """The delivery that a held one waits for; None where it is about to go."""
    if not delivery.is_held:
        return None
    before = _before(delivery.subscriber_id, delivery.run, delivery.ordering_key)
    return before.select_related("event").defer("event__data").first()


def _before(subscriber: Any, run: Any, key: Any) -> DeliveryQuerySet:
    line = Delivery.objects.in_line().filter(
        subscriber=subscriber, run=run, ordering_key=key
    )
    return line.filter(due_at__isnull=False).order_by("due_at", "pk")
