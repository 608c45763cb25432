"""Moving stock: each event and product is counted once, whatever comes twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import F
from django.utils import timezone

from subscribers.inventory.models import Reason, StockLevel, StockMovement


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why stock moves, and the event that says so."""

    reason: Reason
    source: str
    event_id: str
    order_number: str = ""


@dataclass(frozen=True, kw_only=True)
class Change:
    """How much comes in (above zero) or goes out (below) of one product."""

    sku: str
    name: str
    quantity: int


def move(changes: Iterable[Change], *, cause: Cause) -> list[StockMovement]:
    """Record the changes that this cause has not made yet, and shift the levels.

    Call it inside a transaction: it holds the levels until the commit.
    """
    merged = _merged(changes)
    _lock_levels(merged)
    counted = _already_counted(cause)
    fresh = [
        StockMovement(
            sku=change.sku,
            quantity=change.quantity,
            reason=cause.reason,
            source=cause.source,
            event_id=cause.event_id,
            order_number=cause.order_number,
        )
        for change in merged
        if change.sku not in counted
    ]
    for movement in fresh:
        StockLevel.objects.filter(sku=movement.sku).update(
            on_hand=F("on_hand") + movement.quantity, updated_at=timezone.now()
        )
    return StockMovement.objects.bulk_create(fresh)


def _merged(changes: Iterable[Change]) -> list[Change]:
    """One change per product, in the order in which levels are locked."""
    sums: dict[str, Change] = {}
    for change in changes:
        before = sums.get(change.sku)
        quantity = change.quantity + (before.quantity if before else 0)
        sums[change.sku] = Change(sku=change.sku, name=change.name, quantity=quantity)
    return [sums[sku] for sku in sorted(sums)]


def _lock_levels(changes: list[Change]) -> None:
    StockLevel.objects.bulk_create(
        [StockLevel(sku=change.sku, name=change.name) for change in changes],
        ignore_conflicts=True,
    )
    levels = StockLevel.objects.filter(sku__in=[change.sku for change in changes])
    # One order for all who lock, or two who share two products wait for each other.
    list(levels.select_for_update().order_by("sku").values_list("pk"))


def _already_counted(cause: Cause) -> set[str]:
    counted = StockMovement.objects.filter(source=cause.source, event_id=cause.event_id)
    return set(counted.values_list("sku", flat=True))
