"""A purchase as any publisher would put it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from config.env import BASE_DIR
from tests.servers.stack import Stack

EXAMPLE = BASE_DIR / "docs" / "examples" / "purchase.completed.json"
SIX = {
    "receipts",
    "inventory",
    "fulfilment",
    "order_history",
    "customer_profiles",
    "slack_alerts",
}


def purchase(order_id: str) -> dict[str, Any]:
    """The event that the docs show, of another order."""
    event: dict[str, Any] = json.loads(EXAMPLE.read_text())
    event |= {"id": f"purchase-{order_id}", "subject": order_id}
    event["data"]["order"]["id"] = order_id
    return event


def post(stack: Stack, key: str, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Publish over HTTP, as curl would."""
    request = urllib.request.Request(
        f"{stack.url}/api/events/",
        data=json.dumps(event).encode(),
        headers={
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/cloudevents+json",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.status, json.load(answer)
