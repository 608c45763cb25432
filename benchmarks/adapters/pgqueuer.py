"""pgqueuer, enqueueing all of an event at once in the order's transaction.

Its driver asks for a connection in autocommit mode, and looks when it is made: made
before the transaction, it writes within it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time

import psycopg
from django.db import connection
from pgqueuer import PgQueuer
from pgqueuer.db import PsycopgDriver, SyncPsycopgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries, SyncQueries

from benchmarks.orders.handling import handle_async
from benchmarks.recorder import recorder

COUNT = int(os.environ.get("BENCH_SUBSCRIBERS", "5"))
#: Jobs fetched at once; None is its default.
BATCH = os.environ.get("BENCH_BATCH")
NAMES = ["deliver"] * COUNT

_mine = threading.local()


def prepare() -> None:
    asyncio.run(_install())


async def _install() -> None:
    async with await psycopg.AsyncConnection.connect(autocommit=True) as opened:
        await Queries(PsycopgDriver(opened)).install()


def open_queue() -> None:
    """Before the first transaction of this thread."""
    connection.ensure_connection()
    _mine.queue = SyncQueries(SyncPsycopgDriver(connection.connection))


def announce(number: int) -> None:
    at_ns = time.time_ns()
    bodies: list[bytes | None] = [
        json.dumps([subscriber, number, at_ns]).encode() for subscriber in range(COUNT)
    ]
    _mine.queue.enqueue(NAMES, bodies, [0] * COUNT)


def work() -> None:
    asyncio.run(_work())


async def _work() -> None:
    async with await psycopg.AsyncConnection.connect(autocommit=True) as opened:
        queuer = PgQueuer.from_psycopg_connection(opened)

        @queuer.entrypoint("deliver")
        async def deliver(job: Job) -> None:
            await handle_async(*json.loads(job.payload or b""))

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, queuer.shutdown.set)
        recorder.ready()
        if BATCH:
            await queuer.run(batch_size=int(BATCH))
        else:
            await queuer.run()
