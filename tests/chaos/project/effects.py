"""What subscribers do, the same for the router and for plain Celery."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

from django.conf import settings

from tests.chaos.project.models import Effect


class Cursed(Exception):
    """An order that this subscriber can never take."""


def work() -> None:
    """Long enough for a fault to hit its midst."""
    time.sleep(random.uniform(0.002, 0.01))


def insert(order_id: str, subscriber: str) -> None:
    """An effect in the router's database."""
    Effect.objects.create(order_id=order_id, subscriber=subscriber, done_at=time.time())


def append(order_id: str, subscriber: str, **more: str) -> None:
    """An effect outside the database."""
    line = {"order": order_id, "subscriber": subscriber, "at": time.time(), **more}
    write_line(settings.CHAOS_DIR / "outside.jsonl", line)


def write_line(path: Path, line: dict[str, object]) -> None:
    """One write, which outlives the process whatever kills it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode())
    finally:
        os.close(descriptor)
