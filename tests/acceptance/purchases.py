"""A purchase as any publisher would put it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.servers.stack import Stack

SIX = {
    "receipts",
    "inventory",
    "fulfilment",
    "order_history",
    "customer_profiles",
    "slack_alerts",
}


def purchase(order_id: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"purchase-{order_id}",
        "source": "/another-shop",
        "type": "purchase.completed",
        "subject": order_id,
        "time": "2026-01-02T03:04:05Z",
        "datacontenttype": "application/json",
        "partitionkey": "cus_anna",
        "data": {
            "order": {
                "id": order_id,
                "placed_at": "2026-01-02T03:04:05Z",
                "currency": "EUR",
            },
            "customer": {
                "id": "cus_anna",
                "name": "Anna Example",
                "email": "anna@example.com",
            },
            "shipping_address": {
                "name": "Anna Example",
                "line1": "Example Street 1",
                "line2": "",
                "postal_code": "12345",
                "city": "Example Town",
                "country": "DE",
            },
            "lines": [
                {
                    "sku": "OIL-1",
                    "name": "Valve oil",
                    "quantity": 2,
                    "unit_price_minor": 950,
                    "total_minor": 1900,
                }
            ],
            "totals": {
                "subtotal_minor": 1900,
                "shipping_minor": 490,
                "total_minor": 2390,
            },
            "payment": {"method": "card", "last4": "4242"},
        },
    }


def post(stack: Stack, key: str, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Publish over HTTP, as curl would."""
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{stack.url}/api/events/",
        data=json.dumps(event).encode(),
        headers={
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/cloudevents+json",
        },
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return answer.status, json.load(answer)
