"""The purchases of the past, for a router that began after the shop."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from shop.models import Order
from shop.payloads import purchase_event

#: Orders that one statement reads.
STEP = 500


def purchases(since: datetime | None = None) -> Iterator[dict[str, Any]]:
    """The envelope of each order's purchase, the oldest first: the one that
    `purchase_completed` sent, or would have sent. With `since`, of orders that were
    placed then or later."""
    orders = Order.objects.select_related("payment").prefetch_related("lines")
    rest = orders.order_by("placed_at", "pk")
    step = list((rest.filter(placed_at__gte=since) if since else rest)[:STEP])
    while step:
        for order in step:
            yield purchase_event(order)
        step = list(_after(rest, step[-1])[:STEP])


def _after(orders: QuerySet[Order], last: Order) -> QuerySet[Order]:
    # Not one long read: between two of its rows the reader writes.
    is_later = Q(placed_at__gt=last.placed_at) | Q(pk__gt=last.pk)
    return orders.filter(is_later, placed_at__gte=last.placed_at)
