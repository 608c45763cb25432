"""The receivers of the examples, one contract for each language."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.acceptance.examples import EXAMPLES, Program, Service, in_python, service
from tests.acceptance.webhooks import (
    BODY,
    OLD_SECRET,
    OTHER_SECRET,
    SECRET,
    body_of,
    forged,
    signed,
)
from tests.servers.node import node_program
from tests.servers.waiting import free_port

#: From now on the work fails.
BREAK = """
    CREATE TRIGGER broken BEFORE INSERT ON received
    BEGIN SELECT RAISE(ABORT, 'no work today'); END
"""


def python(_: int) -> Program:
    # -S: no installed packages.
    return in_python("webhook_receiver", "Listening", "-S")


def node(_: int) -> Program:
    return Program([node_program(), str(EXAMPLES / "webhook_receiver.js")], "Listening")


def php(port: int) -> Program:
    """PHP's own server, which ends well on Ctrl-C alone and says nothing then."""
    if "PHP" not in os.environ:
        pytest.skip("needs PHP: run the proofs with `make proof`")
    command = [os.environ["PHP"], "-S", f"127.0.0.1:{port}"]
    script = str(EXAMPLES / "webhook_receiver.php")
    return Program([*command, script], "started", "", signal.SIGINT)


class Receiver:
    """A receiver that runs, and the way to it."""

    def __init__(self, port: int, running: Service) -> None:
        self._url = f"http://127.0.0.1:{port}/"
        self._running = running

    def send(self, headers: dict[str, str], body: str = BODY) -> int:
        """The status of its answer."""
        request = Request(self._url, body.encode(), headers)
        try:
            with urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code

    def send_signed(self, body: str) -> int:
        return self.send(signed(body=body), body)

    def received(self) -> list[tuple[str, str]]:
        return self._running.received()

    def change_tables(self, statement: str) -> None:
        with closing(sqlite3.connect(self._running.database)) as connection:
            connection.execute(statement)


@pytest.fixture(
    params=[
        pytest.param(python, id="Python"),
        pytest.param(node, id="Node.js"),
        pytest.param(
            php,
            id="PHP",
            marks=pytest.mark.long,
        ),
    ]
)
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    program_at: Callable[[int], Program] = request.param
    port = free_port()
    # While one secret takes the place of another, there are two.
    environment = {"PORT": str(port), "WEBHOOK_SECRETS": f"{OLD_SECRET} {SECRET}"}
    with service(program_at(port), tmp_path, **environment) as running:
        yield Receiver(port, running)


def test_the_receiver_takes_what_is_signed_and_does_it_once(receiver: Receiver) -> None:
    other = body_of("ticket-2")

    statuses = [
        receiver.send(signed()),
        receiver.send(signed("evt-1", OLD_SECRET, seconds_ago=10)),
        receiver.send(signed("evt-2", OTHER_SECRET, SECRET, body=other), other),
    ]

    assert statuses == [204, 204, 204]
    assert receiver.received() == [("ticket.sold", "Zoë")] * 2


def test_of_doubles_at_one_moment_one_is_done(receiver: Receiver) -> None:
    bodies = [BODY] * 8

    with ThreadPoolExecutor(len(bodies)) as senders:
        statuses = list(senders.map(receiver.send_signed, bodies))

    assert statuses == [204] * 8
    assert receiver.received() == [("ticket.sold", "Zoë")]


def test_the_receiver_refuses_what_proves_nothing(receiver: Receiver) -> None:
    statuses = [receiver.send(headers, body) for _, headers, body in forged()]

    assert statuses == [401] * len(statuses)
    receiver.send(signed())
    assert receiver.received() == [("ticket.sold", "Zoë")]


@pytest.mark.parametrize("body", ["", "{", "[]", '{"source": "/a", "id": 1}'])
def test_what_is_signed_and_no_event_is_refused(receiver: Receiver, body: str) -> None:
    assert receiver.send_signed(body) == 400


def test_a_body_that_is_too_large_is_refused(receiver: Receiver) -> None:
    assert receiver.send_signed("a" * (2 * 1024 * 1024 + 1)) == 413


def test_what_fails_is_answered_500_and_done_when_it_comes_again(
    receiver: Receiver,
) -> None:
    receiver.send(signed())

    receiver.change_tables(BREAK)
    failed = receiver.send_signed(body_of("ticket-2"))
    receiver.change_tables("DROP TRIGGER broken")

    assert failed == 500
    assert receiver.send_signed(body_of("ticket-2")) == 204
    assert receiver.received() == [("ticket.sold", "Zoë")] * 2
