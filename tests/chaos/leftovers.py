"""The messages that plain Celery has in the broker at the end: its only state."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from kombu import Connection

from tests.chaos.checker import Pair
from tests.chaos.subscribers import LEDGER, PICKY, POST

QUEUE = "celery"
ID_LENGTH = 36
#: The task's function → the subscriber.
SUBSCRIBERS = {"keep_ledger": LEDGER, "be_picky": PICKY, "post": POST}


def left_in(broker_url: str) -> set[Pair]:
    """The pairs that a message stands for, taken or not; empties the queue."""
    with Connection(broker_url) as connection:
        return {
            pair
            for headers in (*_waiting(connection), *_unacked(connection))
            if (pair := _pair(headers))
        }


def _waiting(connection: Any) -> Iterator[dict[str, Any]]:
    channel = connection.default_channel
    with contextlib.suppress(*connection.channel_errors):
        while message := channel.basic_get(QUEUE, no_ack=True):
            yield dict(channel.message_to_python(message).headers)


def _unacked(connection: Any) -> Iterator[dict[str, Any]]:
    if connection.transport.driver_type != "redis":
        return
    for value in connection.channel().client.hvals("unacked"):
        message, *_ = json.loads(value)
        yield message["headers"]


def _pair(headers: dict[str, Any]) -> Pair | None:
    name = SUBSCRIBERS.get(str(headers.get("task", "")).rpartition(".")[2])
    order = str(headers.get("argsrepr", "")).lstrip("(['\"")[:ID_LENGTH]
    return (order, name) if name else None
