"""Headers as the web server of production hands them over, not the test client's."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from config.env import BASE_DIR
from tests.servers.waiting import free_port, wait_until


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    port = free_port()
    application = "tests.integration.binary_mode_server:application"
    arguments = ["--interface", "asginl", "--port", str(port), application]
    server = subprocess.Popen(
        [sys.executable, "-m", "granian", *arguments], cwd=BASE_DIR
    )
    try:
        wait_until(lambda: _is_open(port))
        yield port
    finally:
        server.terminate()
        server.wait(30)


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answer_to(port: int, *headers: bytes) -> tuple[int, dict[str, str]]:
    lines = [b"POST / HTTP/1.1", b"Host: x", b"Connection: close", *headers, b"", b""]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"\r\n".join(lines))
        raw = b""
        while received := connection.recv(65_536):
            raw += received
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize("value", ["Köln".encode(), "Köln".encode("latin-1"), b""])
def test_a_header_that_is_not_ascii_is_refused(port: int, value: bytes) -> None:
    status, problems = answer_to(port, b"ce-id: 1", b"ce-subject: " + value)

    assert status == 422
    assert "percent-encode" in problems["/subject"]


def test_an_encoded_header_is_decoded(port: int) -> None:
    status, event = answer_to(port, b"CE-Subject: K%C3%B6ln%20%F0%9F%98%80")

    assert (status, event) == (200, {"subject": "Köln 😀"})
