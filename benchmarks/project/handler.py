from __future__ import annotations

import os

from benchmarks.orders.handling import handle
from router.public import Event, subscriber

TYPE, OTHER_TYPE = "order.placed", "order.returned"
COUNT = int(os.environ.get("BENCH_SUBSCRIBERS", "0"))
UNINTERESTED = int(os.environ.get("BENCH_UNINTERESTED", "0"))


def declare(index: int, event_type: str) -> None:
    @subscriber(f"subscriber_{index}", events=[event_type])
    def handler(event: Event) -> None:
        handle(index, event.data["number"], event.data["at_ns"])


for index in range(COUNT + UNINTERESTED):
    declare(index, TYPE if index < COUNT else OTHER_TYPE)
