"""What the events of the shop say: JSON-ready, as `schemas/` describes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from django.utils.timezone import now

from shop.models import Order, OrderLine, Payment, Product

PURCHASE_SCHEMA = "urn:fanfare:purchase.completed:1"
STOCK_SCHEMA = "urn:fanfare:stock.received:1"


def purchase_event(order: Order, *, traceparent: str = "") -> dict[str, Any]:
    """The envelope of `purchase.completed`; the same order always gives the same id."""
    return {
        "type": "purchase.completed",
        "id": f"order-{order.public_id}",
        "subject": order.public_id,
        "time": order.placed_at,
        "partitionkey": order.customer_id,
        "dataschema": PURCHASE_SCHEMA,
        "traceparent": traceparent,
        "data": purchase(order),
    }


def stock_event(items: Iterable[tuple[Product, int]]) -> dict[str, Any]:
    """The envelope of `stock.received`; the same goods always give the same id."""
    data = {
        "items": [
            {"sku": product.sku, "name": product.name, "quantity": quantity}
            for product, quantity in items
        ]
    }
    digest = sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    return {
        "type": "stock.received",
        "id": f"first-stock-{digest[:32]}",
        "subject": "",
        "time": now(),
        "partitionkey": "",
        "dataschema": STOCK_SCHEMA,
        "traceparent": "",
        "data": data,
    }


def purchase(order: Order) -> dict[str, Any]:
    """The data of `purchase.completed`, version 1."""
    return {
        "order": {
            "id": order.public_id,
            "number": order.number,
            "placed_at": rfc3339(order.placed_at),
            "currency": order.currency,
            **({"language": order.language} if order.language else {}),
        },
        "customer": {
            "id": order.customer_id,
            "name": order.name,
            "email": order.email,
        },
        "shipping_address": {
            "name": order.name,
            "line1": order.line1,
            "line2": order.line2,
            "postal_code": order.postal_code,
            "city": order.city,
            "country": order.country,
        },
        "lines": [_line(line) for line in order.lines.all()],
        "totals": {
            "subtotal_minor": order.subtotal_minor,
            "shipping_minor": order.shipping_minor,
            "total_minor": order.total_minor,
        },
        "payment": _payment(order.payment),
    }


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _line(line: OrderLine) -> dict[str, Any]:
    return {
        "sku": line.sku,
        "name": line.name,
        "quantity": line.quantity,
        "unit_price_minor": line.unit_price_minor,
        "total_minor": line.total_minor,
    }


def _payment(payment: Payment) -> dict[str, str]:
    return {"method": payment.method, "last4": payment.card_last4}
