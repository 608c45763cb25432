"""Connections to receivers: what they answer, and which of them are used again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import ClientPayloadError, ClientRequest, ClientTimeout, TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.tracing import Trace

from router.transports.webhook.response_head import ResponseHead


class PatientProtocol(ResponseHandler):
    """Reads the heads of responses itself, and leaves the bodies to aiohttp.

    aiohttp's parser refuses a whole response for one header that it dislikes, and for
    bytes behind a 204, though only when they come in the same packet.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.head = ResponseHead()
        self.request_count = 0

    def set_response_params(self, **params: Any) -> None:
        self.head = ResponseHead()
        self.request_count += 1
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        # aiohttp calls it without data to go on with a body, and keeps what comes
        # before the request.
        if not data or not self.request_count:
            super().data_received(data)
        elif not self.head.is_complete:
            self._read_head(data)
        elif self._payload is not None and not self._payload.is_eof():
            self._read_body(data)
        elif self.transport is not None:
            # Nothing was asked that this could answer.
            self.transport.close()

    def connection_lost(self, error: BaseException | None) -> None:
        if self.head.status is not None and not self.head.is_complete:
            self.head.end()
            self._start_response(b"")
        super().connection_lost(error)

    def _read_head(self, data: bytes) -> None:
        body = self.head.feed(data)
        if self.head.is_complete:
            self._start_response(body)
        elif self.head.is_garbage:
            self.close()
            self.set_exception(HttpProcessingError(message="This is not HTTP."))

    def _start_response(self, body: bytes) -> None:
        if not self.head.can_keep_alive or (body and not self.head.has_body):
            self.force_close()
        super().data_received(self.head.canonical())
        if body and self.head.has_body:
            self._read_body(body)

    def _read_body(self, data: bytes) -> None:
        payload = self._payload
        super().data_received(data)
        if payload is not None and self.exception() is not None:
            # aiohttp lets a reader of broken chunks wait for more.
            payload.set_exception(ClientPayloadError("The body is broken."))


@dataclass
class Wire:
    """What one post learns of the connection that it uses."""

    protocol: PatientProtocol | None = None
    must_be_new: bool = False

    @property
    def head(self) -> ResponseHead:
        # A protocol has a length: that of its queue.
        return ResponseHead() if self.protocol is None else self.protocol.head

    def died_unused(self) -> bool:
        """Whether a connection that had served before ended without any response.

        A receiver that closes idle connections meets a post on its way so; nor is what
        still comes of an earlier response an answer to this one.
        """
        is_reused = self.protocol is not None and self.protocol.request_count > 1
        return is_reused and (self.head.is_empty or self.head.is_garbage)


_wire: ContextVar[Wire] = ContextVar("webhook_wire")


@contextmanager
def watching(wire: Wire) -> Iterator[None]:
    """Let the connector note the connection of this task in `wire`."""
    reset = _wire.set(wire)
    try:
        yield
    finally:
        _wire.reset(reset)


class WebhookConnector(TCPConnector):
    """Connects as aiohttp does; posts inside `watching` learn which connection it is.

    aiohttp offers neither the protocol nor a new connection to its callers: three names
    are its own, so that its version is pinned and every use of them has a test.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        factory: Any = partial(PatientProtocol, loop=self._loop)
        self._factory = factory

    async def connect(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        if isinstance(connection.protocol, PatientProtocol):
            _wire.get().protocol = connection.protocol
        return connection

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        """A connection that is open already."""
        return None if _wire.get().must_be_new else await super()._get(key, traces)
