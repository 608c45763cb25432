"""The router: one event, whatever the number of its subscribers."""

from __future__ import annotations

import os
import time

from benchmarks.project.handler import TYPE
from router.public import publish
from router.testing import create_subscriber, register_declared, route

ENDPOINTS = int(os.environ.get("BENCH_ENDPOINTS", "0"))
IN_FLIGHT = int(os.environ.get("BENCH_IN_FLIGHT") or 0) or None


def announce(number: int) -> None:
    data = {"number": number, "at_ns": time.time_ns()}
    publish(TYPE, data, source="/bench")


def after_fill() -> None:
    """Route the events: a backlog is deliveries that wait."""
    register_declared()
    for index in range(ENDPOINTS):
        create_subscriber(
            f"endpoint_{index}",
            by="bench",
            transport="webhook",
            url=os.environ["BENCH_RECEIVER"],
            events=[TYPE],
            in_flight_limit=IN_FLIGHT,
        )
    route()
