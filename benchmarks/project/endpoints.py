"""Webhook subscribers, all of them at the one receiver."""

from __future__ import annotations

import os

from benchmarks.project.handler import TYPE
from router.models import Transport
from router.operate.subscribers import create_subscriber

COUNT = int(os.environ.get("BENCH_ENDPOINTS", "0"))
IN_FLIGHT = int(os.environ.get("BENCH_IN_FLIGHT") or 0) or None


def add_endpoints() -> None:
    for index in range(COUNT):
        create_subscriber(
            f"endpoint_{index}",
            by="bench",
            transport=Transport.WEBHOOK,
            url=os.environ["BENCH_RECEIVER"],
            events=[TYPE],
            in_flight_limit=IN_FLIGHT,
        )
