"""A receiver of webhooks: a real server on 127.0.0.1 that answers as the test says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

MAX_SECONDS = 30


@dataclass(frozen=True)
class Received:
    """One request, as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]


Behaviour = Callable[[socket.socket, Received], None]


def status(code: int, *headers: str, body: bytes = b"") -> Behaviour:
    """Answer with this status, these header lines and this body."""

    def answer(connection: socket.socket, received: Received) -> None:
        lines = [
            f"HTTP/1.1 {code} Whatever",
            f"content-length: {len(body)}",
            "connection: close",
            *headers,
        ]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    return answer


@dataclass
class Receiver:
    """Reads a whole request from each connection, then behaves."""

    behave: Behaviour = field(default_factory=lambda: status(204))
    tls: ssl.SSLContext | None = None
    received: list[Received] = field(default_factory=list)
    connection_count: int = 0
    #: Set when the test is over: behaviours that wait, wait for this.
    over: threading.Event = field(default_factory=threading.Event)
    _most_at_once: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.settimeout(0.1)
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._acceptor.join()
        self._listener.close()
        for thread in self._threads:
            thread.join(MAX_SECONDS)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def most_at_once(self) -> int:
        """The most requests that were under way together."""
        return self._most_at_once

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.connection_count += 1
            thread = threading.Thread(
                target=self._serve, args=[connection], daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _opened(self, connection: socket.socket) -> socket.socket:
        connection.settimeout(MAX_SECONDS)
        if self.tls is None:
            return connection
        try:
            return self.tls.wrap_socket(connection, server_side=True)
        except OSError:
            connection.close()
            raise

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), self._opened(connection) as wire:
            received = read_request(wire)
            with self._lock:
                self.received.append(received)
                self._at_once += 1
                self._most_at_once = max(self._most_at_once, self._at_once)
            try:
                self.behave(wire, received)
            finally:
                with self._lock:
                    self._at_once -= 1


def read_request(connection: socket.socket) -> Received:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    pairs = (header.partition(":") for header in rest)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    while len(body) < int(headers.get("content-length", 0)):
        body += _some(connection)
    return Received(line, headers, body)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ValueError("The connection ended within the request.")
    return data
