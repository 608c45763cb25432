"""What may be sold now; the shop asks here by dotted name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from subscribers.inventory.models import StockLevel


def available(skus: Sequence[str]) -> Mapping[str, int]:
    """How many of each are on hand, never below zero; an unknown one is left out."""
    levels = StockLevel.objects.filter(sku__in=skus)
    return {
        sku: max(on_hand, 0) for sku, on_hand in levels.values_list("sku", "on_hand")
    }
