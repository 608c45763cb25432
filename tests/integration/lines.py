"""What stands between a client and the router, or answers in its place."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen


class Line(ThreadingHTTPServer):
    """Hands requests on to a router; is cut as often as it is told to."""

    daemon_threads = True

    def __init__(self, router_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.router_url = router_url
        self.url = f"http://127.0.0.1:{self.server_port}"
        #: Cuts to come before the router hears of it, and after it did.
        self.cuts_before = 0
        self.cuts_after = 0
        #: Answers to come in the router's place: status, headers.
        self.refusals: list[tuple[int, dict[str, str]]] = []
        #: Successes to come in the router's place: bodies.
        self.answers: list[bytes] = []
        self.request_count = 0


class _Passing(BaseHTTPRequestHandler):
    server: Line

    def do_POST(self) -> None:
        line = self.server
        line.request_count += 1
        length = self.headers["Content-Length"]
        body = self.rfile.read(int(length)) if length else None
        if line.refusals:
            status, headers = line.refusals.pop(0)
            self._answer(status, headers, b"<h1>Not now</h1>")
        elif line.answers:
            self._answer(200, {}, line.answers.pop(0))
        elif line.cuts_before:
            line.cuts_before -= 1
            self._cut()
        else:
            self._hand_on(body)

    do_GET = do_POST

    def _hand_on(self, body: bytes | None) -> None:
        headers = {
            name: self.headers[name] for name in ("Authorization", "Content-Type")
        }
        request = Request(f"{self.server.router_url}{self.path}", body, headers)
        with urlopen(request, timeout=30) as answer:
            body = answer.read()
            if self.server.cuts_after:
                self.server.cuts_after -= 1
                self._cut()
            else:
                self._answer(answer.status, {}, body)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""


@contextmanager
def line_to(router_url: str) -> Iterator[Line]:
    assert urlsplit(router_url).hostname
    line = Line(router_url)
    thread = Thread(target=line.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield line
    finally:
        line.shutdown()
        thread.join()
        line.server_close()
