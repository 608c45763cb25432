from __future__ import annotations

import os

from benchmarks.orders.handling import handle
from router.public import Event, subscriber

TYPE = "order.placed"
COUNT = int(os.environ.get("BENCH_SUBSCRIBERS", "0"))


def declare(index: int) -> None:
    @subscriber(f"subscriber_{index}", events=[TYPE])
    def handler(event: Event) -> None:
        handle(index, event.data["number"], event.data["at_ns"])


for index in range(COUNT):
    declare(index)
