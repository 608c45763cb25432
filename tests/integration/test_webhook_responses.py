"""The status line decides, and a connection that was kept in vain costs no attempt."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from router.contract.outcomes import Acknowledged, FailureKind, Outcome, Retry
from router.transports.webhook import event_loop
from router.transports.webhook.posting import RECONNECTED
from router.transports.webhook.transport import Answer
from tests.integration import letters
from tests.integration.certificates import self_signed
from tests.servers.receiving import Behaviour, Received, Receiver, read_request

#: Between two packets: the kernel joins what comes at once.
PACKET_SECONDS = 0.01
DEADLINE_SECONDS = 10
OK = b"HTTP/1.1 200 OK\r\n"
KEPT = OK + b"content-length: 2\r\n\r\nok"
NO = b"HTTP/1.1 503 No\r\nretry-after: 7\r\n"
#: What a strict parser dislikes, in packets; all of them arrive at once as well.
ODD: dict[str, tuple[bytes, ...]] = {
    "204 with a body": (b"HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\n", b"ok"),
    "204 with a body unannounced": (b"HTTP/1.1 204 No\r\n\r\n", b"ok"),
    "204 in chunks": (
        b"HTTP/1.1 204 No\r\ntransfer-encoding: chunked\r\n\r\n",
        b"2\r\nok\r\n0\r\n\r\n",
    ),
    "205 with a body": (b"HTTP/1.1 205 No\r\ncontent-length: 2\r\n\r\n", b"ok"),
    "a long header": (OK, b"x: " + b"a" * 20_000 + b"\r\n", b"\r\n"),
    "300 headers": (OK, b"x: 1\r\n" * 300, b"content-length: 0\r\n\r\n"),
    "a space before the colon": (OK, b"server : x\r\n", b"content-length: 0\r\n\r\n"),
    "a header without colon": (OK, b"server\r\n", b"content-length: 0\r\n\r\n"),
    "a folded header": (OK, b"x: 1\r\n 2\r\n", b"content-length: 0\r\n\r\n"),
    "control characters": (OK, b"x: \x00\x01\r\n", b"content-length: 0\r\n\r\n"),
    "raw UTF-8": (OK, "x: grüß\r\n".encode(), b"content-length: 0\r\n\r\n"),
    "no reason": (b"HTTP/1.1 200\r\n", b"content-length: 0\r\n\r\n"),
    "a long reason": (b"HTTP/1.1 200 " + b"a" * 9000 + b"\r\n", b"\r\n"),
    "bare line feeds": (b"HTTP/1.1 200 OK\n", b"content-length: 2\n\n", b"ok"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n", b"\r\n", b"ok"),
    "two lengths": (OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\n", b"ok"),
    "a length that is none": (OK + b"content-length: many\r\n\r\n", b"ok"),
    "length and chunks": (
        OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
        b"2\r\nok\r\n0\r\n\r\n",
    ),
    "broken chunks": (OK + b"transfer-encoding: chunked\r\n\r\n", b"zz\r\nok"),
    "interim responses": (
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink : </a>\r\n\r\n",
        OK + b"content-length: 0\r\n\r\n",
    ),
    "an end within the headers": (OK, b"content-len"),
    "an end behind the status line": (OK,),
    "more than the answer": (KEPT, b"HTTP/1.1 500 No\r\n\r\n"),
}


def post_to(url: str, **terms: Any) -> list[Answer]:
    """No answer here is late: only a busy machine is. Kept connections are closed."""
    try:
        return letters.post_to(url, **{"deadline_seconds": DEADLINE_SECONDS, **terms})
    finally:
        event_loop.close()


@pytest.fixture(autouse=True)
def this_machine_is_allowed(settings: Any) -> None:
    settings.ROUTER = {"WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"]}


def send(receiver: Receiver, packets: Sequence[bytes]) -> Behaviour:
    def behave(connection: socket.socket, received: Received) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for packet in packets:
            connection.sendall(packet)
            receiver.over.wait(PACKET_SECONDS)

    return behave


def reset(connection: socket.socket) -> None:
    """Close with RST: no time to linger."""
    linger = struct.pack("ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def answer_to(*packets: bytes, then: Callable[..., None] | None = None) -> Answer:
    with Receiver() as receiver:
        send_all = send(receiver, packets)

        def behave(connection: socket.socket, received: Received) -> None:
            send_all(connection, received)
            if then:
                then(connection)

        receiver.behave = behave
        (answer,) = post_to(receiver.url)
    # Not its connections: the port may be the closed one of a test in another process.
    assert len(receiver.received) == 1
    return answer


@pytest.mark.parametrize("is_one_packet", [True, False])
@pytest.mark.parametrize("name", ODD)
def test_a_2xx_is_a_success_whatever_comes_behind_it(
    name: str, is_one_packet: bool
) -> None:
    packets = (b"".join(ODD[name]),) if is_one_packet else ODD[name]

    answer = answer_to(*packets)

    assert isinstance(answer.outcome, Acknowledged)
    # It was not the deadline that ended it.
    assert answer.run_ms < DEADLINE_SECONDS * 1000


@pytest.mark.parametrize("is_one_packet", [True, False])
@pytest.mark.parametrize(
    "rest",
    [b"server : x\r\n\r\n", b"x: " + b"a" * 20_000 + b"\r\n\r\n", b"\x00", b""],
    ids=range(4),
)
def test_a_no_keeps_its_status_and_its_wait(rest: bytes, is_one_packet: bool) -> None:
    outcome = answer_to(*((NO + rest,) if is_one_packet else (NO, rest))).outcome

    assert isinstance(outcome, Retry)
    assert outcome.evidence.error == "HttpStatus: 503"
    assert outcome.after_seconds == 7


@pytest.mark.parametrize(
    "name", ["HTTP/1.0", "two lengths", "bare line feeds", "length and chunks"]
)
def test_the_body_behind_an_odd_head_is_kept(name: str) -> None:
    outcome = answer_to(*ODD[name]).outcome

    assert isinstance(outcome, Acknowledged)
    assert outcome.exchange is not None
    assert "ok" in outcome.exchange.answer


def test_a_receiver_that_speaks_first_is_not_http() -> None:
    def greet(connection: socket.socket) -> Received:
        connection.sendall(b"220 mail.example ESMTP\r\n")
        return read_request(connection)

    with pytest.MonkeyPatch.context() as patch, Receiver() as receiver:
        patch.setattr("tests.servers.receiving.read_request", greet)
        (answer,) = post_to(receiver.url)

    assert isinstance(answer.outcome, Retry)
    assert answer.outcome.evidence.error.startswith("NotHttp: ")


def test_a_reset_behind_the_status_line_changes_nothing() -> None:
    assert isinstance(answer_to(OK, then=reset).outcome, Acknowledged)


def test_an_answer_that_comes_before_the_request_is_whole_counts() -> None:
    """A receiver may answer by the headers alone, and close."""
    with Receiver() as receiver:

        def behave(connection: socket.socket, received: Received) -> None:
            connection.sendall(OK + b"content-length: 0\r\n\r\n")

        receiver.behave = behave
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.servers.receiving.read_request", read_headers)
            (answer,) = post_to(receiver.url)

    assert isinstance(answer.outcome, Acknowledged)


def read_headers(connection: socket.socket) -> Received:
    connection.recv(100)
    return Received("", {}, b"")


@pytest.mark.parametrize(
    "packets",
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n",),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"hello\r\n"),
        (b"HTTP/1.1 2", b"00"),
        (b"hello\r\n", OK),
        (b"HTTP/1.1 twohundred OK\r\n\r\n",),
    ],
)
def test_without_a_final_status_line_nothing_is_acknowledged(
    packets: tuple[bytes, ...],
) -> None:
    outcome = answer_to(*packets).outcome

    assert isinstance(outcome, Retry)
    assert outcome.evidence.error.startswith(("NotHttp: ", "Disconnected: "))


def fickle(*endings: Callable[[socket.socket], None] | None) -> Behaviour:
    """Answer a first request, take a second, and end the connection in its place."""

    def behave(connection: socket.socket, received: Received) -> None:
        connection.sendall(KEPT)
        read_request(connection)
        for end in endings:
            if end:
                end(connection)

    return behave


def reconnected(outcome: Outcome | None) -> bool:
    exchange = (
        outcome.exchange
        if isinstance(outcome, Acknowledged)
        else getattr(getattr(outcome, "evidence", None), "exchange", None)
    )
    assert exchange is not None
    return exchange.request.get("reconnected") == RECONNECTED


@pytest.mark.parametrize("ending", [None, reset], ids=["closed", "reset"])
def test_a_kept_connection_that_ends_unused_is_replaced_at_once(
    ending: Callable[[socket.socket], None] | None,
) -> None:
    with Receiver(behave=fickle(ending)) as receiver:
        answers = post_to(receiver.url, count=6, in_flight=1)

    assert [type(answer.outcome) for answer in answers] == [Acknowledged] * 6
    # The first post is on a new connection, each other one meets a dead one first.
    assert [reconnected(answer.outcome) for answer in answers] == [False, *[True] * 5]
    assert receiver.connection_count == 6
    assert {request.headers["router-attempt"] for request in receiver.received} == {"1"}


def test_a_kept_connection_with_tls_is_replaced_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Receiver(behave=fickle(), tls=context) as receiver:
        url = receiver.url.replace("http:", "https:")
        answers = post_to(url, count=3, in_flight=1)

    assert [reconnected(answer.outcome) for answer in answers] == [False, True, True]
    assert [type(answer.outcome) for answer in answers] == [Acknowledged] * 3


def test_late_bytes_of_an_earlier_answer_are_no_answer_to_the_next_post() -> None:
    def behave(connection: socket.socket, received: Received) -> None:
        connection.sendall(b"HTTP/1.1 204 No\r\n\r\n")
        read_request(connection)
        connection.sendall(b"the body of the first")

    with Receiver(behave=behave) as receiver:
        answers = post_to(receiver.url, count=3, in_flight=1)

    assert [type(answer.outcome) for answer in answers] == [Acknowledged] * 3


def test_a_farewell_on_an_idle_connection_is_no_answer_to_the_next_post() -> None:
    """Some proxies send 408 before they close what was idle."""

    def behave(connection: socket.socket, received: Received) -> None:
        connection.sendall(KEPT)
        connection.settimeout(PACKET_SECONDS)
        try:
            read_request(connection)
        except TimeoutError:
            connection.sendall(b"HTTP/1.1 408 Timeout\r\ncontent-length: 0\r\n\r\n")

    with Receiver(behave=behave) as receiver:
        answers = post_to(receiver.url, count=4, rate=4)

    assert [type(answer.outcome) for answer in answers] == [Acknowledged] * 4


def test_it_is_replaced_only_once() -> None:
    with Receiver() as receiver:

        def behave(connection: socket.socket, received: Received) -> None:
            if receiver.connection_count == 1:
                fickle()(connection, received)

        receiver.behave = behave
        first, second = post_to(receiver.url, count=2, in_flight=1)

    assert isinstance(first.outcome, Acknowledged)
    assert isinstance(second.outcome, Retry)
    assert second.outcome.kind is FailureKind.SILENT
    assert reconnected(second.outcome)
    assert receiver.connection_count == 2


def test_a_new_connection_that_ends_is_unreachable() -> None:
    outcome = answer_to().outcome

    assert isinstance(outcome, Retry)
    assert outcome.kind is FailureKind.SILENT
    assert not reconnected(outcome)


def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    def behave(connection: socket.socket, received: Received) -> None:
        connection.sendall(KEPT)
        read_request(connection)
        connection.sendall(b"HTTP/1.1 20")

    with Receiver(behave=behave) as receiver:
        first, second = post_to(receiver.url, count=2, in_flight=1)

    assert isinstance(first.outcome, Acknowledged)
    assert isinstance(second.outcome, Retry)
    assert receiver.connection_count == 1


def test_the_deadline_holds_for_both_connections() -> None:
    with Receiver() as receiver:

        def behave(connection: socket.socket, received: Received) -> None:
            if receiver.connection_count == 1:
                fickle()(connection, received)
            else:
                receiver.over.wait(30)

        receiver.behave = behave
        _, second = post_to(receiver.url, count=2, in_flight=1, deadline_seconds=1)

    assert isinstance(second.outcome, Retry)
    assert second.outcome.evidence.error == "TimedOut: no answer within 1 s."
    assert second.run_ms < 15_000


def test_paced_posts_do_not_fail_where_idle_connections_are_closed() -> None:
    """The receiver closes at about the moment at which the next post comes."""
    gap = 0.03

    def behave(connection: socket.socket, received: Received) -> None:
        connection.settimeout(gap)
        try:
            while True:
                connection.sendall(KEPT)
                read_request(connection)
        except TimeoutError:
            reset(connection)

    with Receiver(behave=behave) as receiver:
        answers = post_to(receiver.url, count=60, rate=1 / gap)

    assert {type(answer.outcome) for answer in answers} == {Acknowledged}


#: What is registered → the request's target.
TARGETS = {
    "/a%2Fb": "/a%2Fb",
    "/a%2fb": "/a%2fb",
    "/%7euser/~me": "/%7euser/~me",
    "/x/%2e%2e/y": "/x/%2e%2e/y",
    "/x/../y/./z": "/x/../y/./z",
    "//a//b": "//a//b",
    "/a+b%2Bc%20d": "/a+b%2Bc%20d",
    "/?q=%2B+%20;&&x&y==": "/?q=%2B+%20;&&x&y==",
    "/?q=%7E%41": "/?q=%7E%41",
    "/100%": "/100%",
    "/%zz": "/%zz",
    "/'\"<>{}|^`[]*$!,@:": "/'\"<>{}|^`[]*$!,@:",
    "?q=1": "/?q=1",
    "": "/",
    "/grüß?ä=ö%2F": "/gr%C3%BC%C3%9F?%C3%A4=%C3%B6%2F",
}


@pytest.mark.parametrize("path", TARGETS)
def test_the_url_is_sent_as_it_is_registered(path: str) -> None:
    with Receiver() as receiver:
        (answer,) = post_to(receiver.url.removesuffix("/hooks") + path)

    assert isinstance(answer.outcome, Acknowledged)
    assert receiver.received[0].line == f"POST {TARGETS[path]} HTTP/1.1"


def test_an_error_does_not_name_the_address_behind_a_name(free_port: int) -> None:
    (answer,) = post_to(f"http://localhost:{free_port}/")

    assert isinstance(answer.outcome, Retry)
    assert answer.outcome.evidence.error == "NotConnected: Connection refused."
