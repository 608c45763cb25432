"""Clients that no browser would be: requests that never end, cut bodies."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

#: A CSRF cookie that the client made itself; its form is all that can be checked.
COOKIE = f"csrftoken={'a' * 32}"
FORM = "application/x-www-form-urlencoded"


def open_to(url: str, *, seconds: float = 10) -> socket.socket:
    place = urlsplit(url)
    assert place.hostname in ("127.0.0.1", "localhost")
    return socket.create_connection((place.hostname, place.port or 80), seconds)


def head(url: str, path: str, *lines: str) -> bytes:
    """The head of a POST."""
    given = [f"POST {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", *lines]
    return "\r\n".join([*given, "", ""]).encode()


@contextmanager
def unfinished_bodies(url: str, count: int) -> Iterator[list[socket.socket]]:
    """So many clients that promise 30,000 bytes and send two."""
    started = head(
        url,
        "/basket/",
        f"Cookie: {COOKIE}",
        f"Content-Type: {FORM}",
        "Content-Length: 30000",
    )
    with ExitStack() as opened:
        sockets = [opened.enter_context(open_to(url)) for _ in range(count)]
        for client in sockets:
            client.sendall(started + b"a=")
        yield sockets


def status_of(client: socket.socket) -> int:
    """The status of the response; 0 where the server closes without one."""
    try:
        with client.makefile("rb") as answer:
            line = answer.readline()
    except ConnectionError:
        return 0
    return int(line.split()[1]) if line else 0
