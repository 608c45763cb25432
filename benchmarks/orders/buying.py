"""The order itself: what a shop writes, with or without an event."""

from __future__ import annotations

from benchmarks.orders.models import Line, Order


def place_order(number: int) -> None:
    """Some inserts, in the caller's transaction."""
    order = Order.objects.create(number=number, customer="Clara Horn", total_minor=7750)
    Line.objects.bulk_create(
        Line(order=order, sku=sku, quantity=2) for sku in ("mute", "oil", "strap")
    )
