"""Connections to RabbitMQ, in the event loop of the process."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.connection import make_url
from aiormq.exceptions import (
    AMQPConnectionError,
    ConnectionNotAllowed,
    InvalidFrameError,
)

from router.transports.amqp import decoding
from router.transports.webhook.event_loop import event_loop

T = TypeVar("T")
CLOSING_SECONDS = 2.0
# What the library logs as an error, the router tells in its own words.
logging.getLogger("aiormq").setLevel(logging.CRITICAL)
decoding.install()


class NotTls(ConnectionError):
    """The port of an `amqps://` address does not speak TLS."""


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
    except AMQPConnectionError as error:
        await connection.close()
        explained = _explained(error, url)
        if explained is None:
            raise
        raise explained from error
    except BaseException:
        # Left to the garbage collector, it would close itself in another thread.
        await connection.close()
        raise
    return connection


def _explained(error: AMQPConnectionError, url: str) -> ConnectionError | None:
    """What may be wrong with the address, where the error does not say so."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
        return NotTls("This port does not speak TLS")
    is_plain = make_url(url).scheme == "amqp"
    if is_plain and type(error) is AMQPConnectionError and _is_closed(cause):
        return AMQPConnectionError(
            "RabbitMQ closed the connection at once. If this port is one for TLS, "
            "write amqps://"
        )
    return None


def _is_closed(cause: BaseException | None) -> bool:
    return isinstance(cause, asyncio.IncompleteReadError | ConnectionResetError)


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
