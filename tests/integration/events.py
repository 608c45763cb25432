"""Events as the subscribers' tests need them: whole, and easily bent."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from router.public import Event

PLACED = "2026-11-20T10:15:00Z"


def line(sku: str, quantity: int, price_minor: int, name: str = "") -> dict[str, Any]:
    return {
        "sku": sku,
        "name": name or f"The {sku}",
        "quantity": quantity,
        "unit_price_minor": price_minor,
        "total_minor": quantity * price_minor,
    }


def purchase(
    order_id: str = "ord_1",
    *,
    lines: list[dict[str, Any]] | None = None,
    customer_id: str = "cus_1",
    name: str = "Clara Horn",
    email: str = "clara@example.com",
    placed_at: str = PLACED,
    currency: str = "EUR",
    shipping_minor: int = 590,
) -> Event:
    """A purchase of two mutes and one oil, unless told otherwise."""
    bought = lines or [line("mute", 2, 3450), line("oil", 1, 850)]
    subtotal = sum(each["total_minor"] for each in bought)
    data = {
        "order": {"id": order_id, "placed_at": placed_at, "currency": currency},
        "customer": {"id": customer_id, "name": name, "email": email},
        "shipping_address": {
            "name": name,
            "line1": "Brass Lane 7",
            "line2": "",
            "postal_code": "10115",
            "city": "Berlin",
            "country": "DE",
        },
        "lines": bought,
        "totals": {
            "subtotal_minor": subtotal,
            "shipping_minor": shipping_minor,
            "total_minor": subtotal + shipping_minor,
        },
        "payment": {"method": "card", "last4": "4242"},
    }
    return event("purchase.completed", data, id=f"{order_id}.completed")


def event(
    type: str,
    data: Any,
    *,
    id: str = "event_1",
    source: str = "/shop",
) -> Event:
    return Event(
        id=id,
        source=source,
        type=type,
        time=datetime.fromisoformat(PLACED),
        data=data,
    )


def an_alert(
    type_: str = "router.alert.opened",
    *,
    rule: str = "unreachable",
    title: str = "Receipt by mail",
    **changes: Any,
) -> Event:
    """Of the router, about the receipts."""
    data = {
        "alert": {"id": 3, "rule": rule, "is_test": rule == "test"},
        "subscriber": {"name": "receipts", "title": title},
        "cause": "HTTP 503: overloaded",
        "status": "unreachable since 08:10 UTC: HTTP 503: overloaded. 2,002 events "
        "held.",
        "backlog": {"events": 2002, "has_more": False, "oldest_seconds": 7500.0},
        "open_failed_tasks": 0,
        "since": "2026-11-20T08:10:00Z",
        "link": "https://shop.example/admin/router/subscriber/7/change/",
        **changes,
    }
    return event(type_, data, source="/router")


def without(given: Event, *path: str) -> Event:
    """The same event, with one member of its data gone."""
    *steps, last = path
    data = dict(given.data)
    inner = data
    for step in steps:
        inner[step] = dict(inner[step])
        inner = inner[step]
    del inner[last]
    return replace(given, data=data)
