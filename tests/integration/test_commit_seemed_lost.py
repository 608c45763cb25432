"""The connection is cut once a COMMIT was applied, before the worker hears of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from router.flow.deliver.stream import serve
from router.flow.route.routing import route_batch
from router.models import Cursor, Delivery, Subscriber, Turn
from router.public import Event
from router.testing import deliver_due, skip_waits
from tests.contract.steps import fates, publish_events
from tests.receivers import Declare

pytestmark = [
    pytest.mark.usefixtures("own_connection"),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite has no sessions"
    ),
]

#: The server has answered all, and is in no transaction.
IDLE = b"Z\x00\x00\x00\x05I"


class Line:
    """Between the driver and PostgreSQL; it can be cut behind an answer."""

    def __init__(self, server: dict[str, Any]) -> None:
        host = server["HOST"] or server["OPTIONS"].get("host", "/tmp")
        port = server["PORT"] or 5432
        is_local = str(host).startswith("/")
        self._server = f"{host}/.s.PGSQL.{port}" if is_local else (host, int(port))
        self._family = socket.AF_UNIX if is_local else socket.AF_INET
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.is_to_be_cut = False
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(self._family)
                server.connect(self._server)
                for work in (self._ask, self._answer):
                    threading.Thread(
                        target=work, args=(client, server), daemon=True
                    ).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while sent := client.recv(65536):
                server.sendall(sent)
            server.shutdown(socket.SHUT_WR)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError), client, server:
            held = b""
            while answer := server.recv(65536):
                if not self.is_to_be_cut:
                    client.sendall(answer)
                    continue
                held += answer
                if held.endswith(IDLE):
                    self.is_to_be_cut = False
                    self.cuts += 1
                    client.shutdown(socket.SHUT_RDWR)
                    return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def line(own_connection: None) -> Iterator[Line]:
    place = connection.settings_dict
    line = Line(place)
    before = {name: place[name] for name in ("HOST", "PORT")}
    connection.close()
    place.update(HOST="127.0.0.1", PORT=str(line.port))
    try:
        yield line
    finally:
        connection.close()
        place.update(before)
        line.close()


def effects() -> list[str]:
    return sorted(User.objects.values_list("username", flat=True))


def until_settled() -> None:
    for _ in range(4):
        skip_waits()
        deliver_due()


def test_a_chunk_whose_commit_seemed_lost_is_not_done_again(
    declare: Declare, line: Line
) -> None:
    runs: list[int] = []

    def handle(event: Event) -> None:
        runs.append(event.data["n"])
        User.objects.create(username=f"{event.data['n']}-{len(runs)}")
        line.is_to_be_cut = len(runs) == 3

    listener = declare(behave=handle)
    publish_events(3)
    route_batch()
    Subscriber.objects.update(mean_run_ms=1)

    serve(listener.row.pk)

    assert line.cuts == 1
    assert (Cursor.objects.get().position, Turn.objects.get().token) == (3, None)
    until_settled()
    assert effects() == ["0-1", "1-2", "2-3"]
    assert fates() == ["ACKNOWLEDGED"] * 3
    assert not Delivery.objects.exists()


def test_the_rest_of_a_chunk_comes_again_where_a_commit_seemed_lost(
    declare: Declare, line: Line
) -> None:
    """The lease was to go on behind it: the worker ends it, as it knows too little."""
    runs: list[int] = []

    def handle(event: Event) -> None:
        runs.append(event.data["n"])
        User.objects.create(username=f"{event.data['n']}-{len(runs)}")
        if len(runs) == 3:
            raise ValueError("cut the chunk here")
        # What came before it has run again, and is settled now.
        line.is_to_be_cut = len(runs) == 5

    listener = declare(behave=handle)
    publish_events(5)
    route_batch()
    Subscriber.objects.update(mean_run_ms=1)

    serve(listener.row.pk)

    assert line.cuts == 1
    assert (Cursor.objects.get().position, Turn.objects.get().token) == (2, None)
    assert runs == [0, 1, 2, 0, 1]
    until_settled()
    assert [name.split("-")[0] for name in effects()] == ["0", "1", "2", "3", "4"]
    assert fates() == ["ACKNOWLEDGED"] * 5
