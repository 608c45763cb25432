"""Receivers that misbehave: none holds a webhook past its deadline or fills memory."""

from __future__ import annotations

import gzip
import os
import socket
import ssl
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from router.contract.outcomes import Acknowledged, FailureKind, Outcome, Retry
from router.transports.webhook import event_loop
from router.transports.webhook.posting import MAX_BYTES_READ
from router.transports.webhook.transport import WebhookTransport
from tests.integration.certificates import self_signed
from tests.integration.letters import (
    SHORT_DEADLINE_SECONDS,
    SLACK_SECONDS,
    a_receiver,
    letter,
    post_to,
    terms,
)
from tests.servers.receiving import Behaviour, Received, Receiver, status

OK = b"HTTP/1.1 200 OK\r\n"
DRIP_SECONDS = 0.1
SILENT, REFUSED, DONE = FailureKind.SILENT, FailureKind.REFUSED, "done"
ENDLESS = 200 * 1024 * 1024


@pytest.fixture(autouse=True)
def a_loop_of_its_own(settings: Any) -> Iterator[None]:
    settings.ROUTER = {"WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"]}
    yield
    event_loop.close()


def drip(*start: bytes, drop: bytes) -> Callable[[Receiver], Behaviour]:
    """Send the start at once, then a drop now and then, for ever."""

    def make(receiver: Receiver) -> Behaviour:
        def behave(connection: socket.socket, received: Received) -> None:
            connection.sendall(b"".join(start))
            while not receiver.over.wait(DRIP_SECONDS):
                connection.sendall(drop)

        return behave

    return make


def flood(*start: bytes, block: bytes) -> Callable[[Receiver], Behaviour]:
    """Send the start, and then the same block as fast as it goes."""

    def make(receiver: Receiver) -> Behaviour:
        def behave(connection: socket.socket, received: Received) -> None:
            connection.sendall(b"".join(start))
            sent = 0
            while sent < ENDLESS and not receiver.over.is_set():
                connection.sendall(block)
                sent += len(block)

        return behave

    return make


def reset_after(data: bytes) -> Callable[[Receiver], Behaviour]:
    def make(receiver: Receiver) -> Behaviour:
        def behave(connection: socket.socket, received: Received) -> None:
            connection.sendall(data)
            # With no time to linger, closing sends RST.
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

        return behave

    return make


def say(data: bytes) -> Callable[[Receiver], Behaviour]:
    def make(receiver: Receiver) -> Behaviour:
        return lambda connection, received: connection.sendall(data)

    return make


def silence(receiver: Receiver) -> Behaviour:
    return lambda connection, received: bool(receiver.over.wait(30)) and None


BOMB = gzip.compress(bytes(50 * 1024 * 1024))
#: What it is → how it behaves, what comes of it.
ZOO: dict[str, tuple[Callable[[Receiver], Behaviour], object]] = {
    "accepts and stays silent": (silence, SILENT),
    "drips its status line": (drip(b"HTTP/1.1 200 O", drop=b"K"), SILENT),
    # The status line has decided.
    "drips its headers": (drip(OK, drop=b"x-drop: 1\r\n"), DONE),
    "drips 100 Continue": (
        drip(drop=b"HTTP/1.1 100 Continue\r\n\r\n"),
        SILENT,
    ),
    "drips its body": (drip(OK, b"content-length: 999\r\n\r\n", drop=b"a"), DONE),
    "drips chunks": (
        drip(OK, b"transfer-encoding: chunked\r\n\r\n", drop=b"1\r\na\r\n"),
        DONE,
    ),
    "drips the body of its no": (
        drip(b"HTTP/1.1 400 No\r\ncontent-length: 999\r\n\r\n", drop=b"a"),
        REFUSED,
    ),
    "promises more than it sends": (say(OK + b"content-length: 9\r\n\r\nab"), DONE),
    "never ends its body": (flood(OK, b"\r\n", block=bytes(65536)), DONE),
    "floods with headers": (flood(OK, block=b"x: " + b"a" * 8000), DONE),
    "floods with headers of its no": (
        flood(b"HTTP/1.1 410 Gone\r\n", block=b"x: 1\r\n" * 1000),
        FailureKind.GONE,
    ),
    "floods with interim responses": (
        flood(block=b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000),
        REFUSED,
    ),
    "floods with empty lines": (flood(block=b"\r\n" * 1000), REFUSED),
    "floods its status line": (flood(b"HTTP/1.1 ", block=b"2" * 8000), REFUSED),
    "sends a gzip bomb": (
        say(
            OK
            + b"content-encoding: gzip\r\n"
            + f"content-length: {len(BOMB)}\r\n\r\n".encode()
            + BOMB
        ),
        DONE,
    ),
    "resets after the request": (reset_after(b""), SILENT),
    "resets within the status line": (reset_after(b"HTTP/1.1 20"), SILENT),
    "closes without a word": (say(b""), SILENT),
    "speaks another protocol": (say(b"220 mail.example ESMTP\r\n"), REFUSED),
    "sets a cookie": (
        say(OK + b"set-cookie: a=b\r\ncontent-length: 0\r\n\r\n"),
        DONE,
    ),
}


def verdict(outcome: Outcome | None) -> object:
    if isinstance(outcome, Retry):
        assert outcome.evidence.error
        return outcome.kind
    return DONE if isinstance(outcome, Acknowledged) else None


@pytest.mark.parametrize("animal", ZOO)
def test_it_ends_by_the_deadline_with_one_outcome(animal: str) -> None:
    make, expected = ZOO[animal]
    with Receiver() as healthy, Receiver() as receiver:
        post_to(healthy.url)
        receiver.behave = make(receiver)
        tracemalloc.start()
        started_at = time.monotonic()
        (answer,) = post_to(receiver.url, deadline_seconds=SHORT_DEADLINE_SECONDS)
        elapsed = time.monotonic() - started_at
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert verdict(answer.outcome) == expected
    assert elapsed < SHORT_DEADLINE_SECONDS + SLACK_SECONDS
    assert peak < 2 * 1024 * 1024


def test_a_deadline_is_of_the_whole(free_port: int) -> None:
    """Nobody accepts: the backlog is full, so that connecting itself hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", free_port))
        (answer,) = post_to(
            f"http://127.0.0.1:{free_port}/", deadline_seconds=SHORT_DEADLINE_SECONDS
        )
        for each in waiting:
            each.close()

    assert verdict(answer.outcome) == SILENT
    assert isinstance(answer.outcome, Retry)
    assert answer.outcome.evidence.error == "TimedOut: no answer within 2 s."
    assert answer.run_ms < (SHORT_DEADLINE_SECONDS + SLACK_SECONDS) * 1000


def test_nobody_listening_is_unreachable(free_port: int) -> None:
    (answer,) = post_to(f"http://127.0.0.1:{free_port}/?token=secret")

    assert isinstance(answer.outcome, Retry)
    assert answer.outcome.kind is SILENT
    assert answer.outcome.evidence.error.startswith("NotConnected: ")
    assert "secret" not in repr(answer)


def test_every_status_comes_back_as_it_is() -> None:
    codes = list(range(200, 600))

    def in_turn(connection: socket.socket, received: Received) -> None:
        code = codes[int(received.webhook_id.removeprefix("msg_")) - 1]
        status(code)(connection, received)

    with Receiver(behave=in_turn) as receiver:
        answers = post_to(
            receiver.url,
            count=len(codes),
            deadline_seconds=60,
            ends_at=time.monotonic() + 300,
        )

    statuses = [
        answer.outcome.exchange.status
        if isinstance(answer.outcome, Acknowledged)
        else answer.outcome.evidence.exchange.status
        for answer in answers
    ]
    assert statuses == codes
    assert [isinstance(answer.outcome, Acknowledged) for answer in answers] == [
        code < 300 for code in codes
    ]


def test_a_hundred_silent_ones_take_no_longer_than_one() -> None:
    with Receiver() as receiver:
        receiver.behave = silence(receiver)
        started_at = time.monotonic()
        answers = post_to(
            receiver.url, count=100, deadline_seconds=SHORT_DEADLINE_SECONDS
        )
        elapsed = time.monotonic() - started_at

    assert [verdict(answer.outcome) for answer in answers] == [SILENT] * 100
    assert elapsed < 10 * SHORT_DEADLINE_SECONDS


def test_no_more_are_under_way_than_agreed() -> None:
    with Receiver() as receiver:

        def take_a_while(connection: socket.socket, received: Received) -> None:
            receiver.over.wait(0.05)
            status(204)(connection, received)

        receiver.behave = take_a_while
        post_to(receiver.url, count=30, in_flight=4, deadline_seconds=10)

    assert len(receiver.received) == 30
    assert receiver.most_at_once == 4


def test_an_answer_does_not_wait_for_those_that_are_late() -> None:
    with Receiver() as receiver:

        def be_silent_to_the_first(connection: socket.socket, got: Received) -> None:
            (silence(receiver) if got.webhook_id == "msg_1" else status(204))(
                connection, got
            )

        receiver.behave = be_silent_to_the_first
        transport = WebhookTransport(
            a_receiver(receiver.url), terms(deadline_seconds=SHORT_DEADLINE_SECONDS)
        )
        waves = [
            [answer.key for answer in wave]
            for wave in transport.send([letter(1), letter(2), letter(3)])
        ]

    assert waves[-1] == [1]
    assert sorted(sum(waves[:-1], [])) == [2, 3]


def test_they_start_at_the_agreed_rate() -> None:
    with Receiver() as receiver:
        started_at = time.monotonic()
        post_to(receiver.url, count=11, rate=20.0)
        elapsed = time.monotonic() - started_at

    assert len(receiver.received) == 11
    assert elapsed >= 10 / 20


def test_what_the_lease_leaves_no_time_for_is_not_posted() -> None:
    with Receiver() as receiver:
        (answer,) = post_to(receiver.url, ends_at=time.monotonic() + 0.5)

    assert answer.outcome is None
    assert receiver.connection_count == 0


class KeepsAlive(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ports: set[int]
    cookies: list[str | None]

    def do_POST(self) -> None:
        self.ports.add(self.client_address[1])
        self.cookies.append(self.headers.get("cookie"))
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("set-cookie", "session=1")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        pass


def test_a_connection_is_used_again_and_cookies_are_not() -> None:
    KeepsAlive.ports, KeepsAlive.cookies = set(), []
    with ThreadingHTTPServer(("127.0.0.1", 0), KeepsAlive) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        post_to(f"http://localhost:{server.server_port}/", count=5, in_flight=1)
        event_loop.close()
        server.shutdown()
        thread.join()

    assert len(KeepsAlive.ports) == 1
    assert KeepsAlive.cookies == [None] * 5


@pytest.mark.parametrize("is_trusted", [True, False])
def test_a_certificate_that_nobody_vouches_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_trusted: bool
) -> None:
    certificate = self_signed(tmp_path)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Receiver(tls=context) as receiver:
        (answer,) = post_to(receiver.url.replace("http:", "https:"))

    assert verdict(answer.outcome) == (DONE if is_trusted else SILENT)
    assert len(receiver.received) == int(is_trusted)
    if isinstance(answer.outcome, Retry):
        assert answer.outcome.evidence.error.startswith("CertificateRefused: ")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_a_loop_of_its_own() -> None:
    """Celery's pool processes are forks, and threads stay behind."""
    with Receiver() as receiver:
        post_to(receiver.url)
        child = os.fork()
        if child == 0:
            answers = post_to(receiver.url)
            os._exit(0 if verdict(answers[0].outcome) == DONE else 1)
        _, code = os.waitpid(child, 0)

    assert code == 0
    assert len(receiver.received) == 2


def test_an_answer_is_not_unpacked() -> None:
    packed = status(400, "content-encoding: gzip", body=gzip.compress(b"hello" * 99))
    with Receiver(behave=packed) as receiver:
        (answer,) = post_to(receiver.url)

    assert isinstance(answer.outcome, Retry)
    assert answer.outcome.evidence.exchange is not None
    assert "hello" * 2 not in answer.outcome.evidence.exchange.answer


def test_of_an_answer_only_the_beginning_is_kept() -> None:
    body = b"a" * MAX_BYTES_READ * 3
    with Receiver(behave=status(500, body=body)) as receiver:
        (answer,) = post_to(receiver.url)

    assert isinstance(answer.outcome, Retry)
    exchange = answer.outcome.evidence.exchange
    assert exchange is not None
    assert exchange.answer == "a" * 1024
