"""procrastinate with its Django connector: deferred in the order's transaction."""

from __future__ import annotations

import asyncio
import os
import time

from procrastinate.contrib.django import app

from benchmarks.orders.handling import handle_async
from benchmarks.recorder import recorder

COUNT = int(os.environ.get("BENCH_SUBSCRIBERS", "5"))
CONCURRENCY = 10


@app.task(name="deliver")
async def deliver(subscriber: int, number: int, at_ns: int) -> None:
    await handle_async(subscriber, number, at_ns)


def announce(number: int) -> None:
    at_ns = time.time_ns()
    deliver.batch_defer(
        *(
            {"subscriber": subscriber, "number": number, "at_ns": at_ns}
            for subscriber in range(COUNT)
        )
    )


def work() -> None:
    asyncio.run(_work())


async def _work() -> None:
    with app.replace_connector(app.connector.get_worker_connector()):
        async with app.open_async():
            recorder.ready()
            await app.run_worker_async(concurrency=CONCURRENCY)
