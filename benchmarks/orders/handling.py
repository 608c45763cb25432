"""What a handler does, the same for every contender in Python."""

from __future__ import annotations

import os
import time

from benchmarks.orders.models import Effect
from benchmarks.recorder import recorder

DOES_INSERT = os.environ.get("BENCH_HANDLER") == "orm"
HANG_SECONDS = 5.0
#: The subscriber that hangs; -1 is none of them.
HANGING = int(os.environ.get("BENCH_HANGING", "-1"))


def handle(subscriber: int, number: int, at_ns: int) -> None:
    recorder.note(subscriber, at_ns)
    if subscriber == HANGING:
        time.sleep(HANG_SECONDS)
    if DOES_INSERT:
        Effect.objects.create(number=number, subscriber=subscriber)


async def handle_async(subscriber: int, number: int, at_ns: int) -> None:
    """The same, where the worker is an event loop."""
    recorder.note(subscriber, at_ns)
    if DOES_INSERT:
        await Effect.objects.acreate(number=number, subscriber=subscriber)
