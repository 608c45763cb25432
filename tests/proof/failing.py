"""Failed tasks of a running stack, for the page that says how to fix them."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import Request, urlopen

from tests.acceptance.purchases import post, purchase
from tests.servers.stack import Stack

NAME = "impatient"


def open_failed_tasks(stack: Stack) -> None:
    """Two failed tasks of a subscriber that gives up at the first failure."""
    scopes = ("--scopes", "publish,consume,manage")
    key = stack.manage("create_api_key", NAME, *scopes).strip()
    events = {"events": ["purchase.*"], "max_failures": 1}
    body = {"name": NAME, "transport": "pull", **events}
    call(stack.url, key, "/api/subscribers/", body)
    for order_id in ("order-given-up", "order-discarded"):
        post(stack, key, purchase(order_id))
        pulled = call(
            stack.url, key, f"/api/subscribers/{NAME}/pull/", {"wait_seconds": 8}
        )
        leases = [
            {"id": delivery["id"], "lease_token": delivery["lease_token"]}
            for delivery in pulled["deliveries"]
        ]
        assert leases, pulled
        call(stack.url, key, "/api/deliveries/nack/", {"deliveries": leases})


def call(url: str, key: str, path: str, body: dict[str, Any]) -> Any:
    """Post JSON to the API; returns the answer's."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = Request(url + path, json.dumps(body).encode(), headers)
    with urlopen(request, timeout=20) as answer:
        return json.load(answer)
