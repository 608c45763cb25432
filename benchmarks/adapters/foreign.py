"""The router, with one subscriber that is published to a foreign router."""

from __future__ import annotations

import json
import os
from typing import Any

from router.public import publish
from router.testing import create_subscriber, route

TYPE = "order.placed"
#: Of a shop's customers; a router with order keeps it for each.
KEYS = 100
TARGET: dict[str, Any] = json.loads(os.environ.get("BENCH_TARGET") or "{}")


def announce(number: int) -> None:
    data = {"number": number}
    publish(TYPE, data, source="/bench", partitionkey=f"customer-{number % KEYS}")


def after_fill() -> None:
    """Route the events: a backlog is deliveries that wait."""
    create_subscriber("foreign", by="bench", events=[TYPE], **TARGET)
    route()
