"""Connections to RabbitMQ, in the event loop of the process."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.connection import make_url
from aiormq.exceptions import ConnectionNotAllowed, InvalidFrameError

from router.transports.amqp import decoding
from router.transports.webhook.event_loop import event_loop

T = TypeVar("T")
CLOSING_SECONDS = 2.0
# What the library logs as an error, the router tells in its own words.
logging.getLogger("aiormq").setLevel(logging.CRITICAL)
decoding.install()


async def connect(url: str) -> AbstractConnection:
    """A connection that does not come back by itself: its owner opens another."""
    connection = aio_pika.Connection(make_url(url))
    try:
        await connection.connect()
    except InvalidFrameError as error:
        await connection.close()
        # It is the library's name for RabbitMQ's closing while a host is opened.
        raise ConnectionNotAllowed(
            "There is no such virtual host, or the user has no right to it"
        ) from error
    except BaseException:
        # Left to the garbage collector, it would close itself in another thread.
        await connection.close()
        raise
    return connection


def call(work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
    """Run it in the event loop. Raises `TimeoutError` when it takes longer."""
    future = event_loop().submit(work)
    try:
        return future.result(seconds)
    finally:
        future.cancel()


def close(connection: AbstractConnection | None) -> None:
    """Whatever state it is in."""
    if connection is not None:
        with suppress(Exception):
            call(_close(connection), CLOSING_SECONDS)


async def _close(connection: AbstractConnection) -> None:
    await connection.close()
