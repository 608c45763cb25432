"""Workers of the stream at once: killed, stopped for longer than their lease, cut off.

Each event has one effect, one worker has a chunk at a time, and no cursor moves back.
Only PostgreSQL has several writers at a time.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from router.flow.route.routing import route_batch
from router.flow.sweep import sweep, sweep_turns
from router.models import Cursor, Delivery, Subscriber
from router.public import publish
from router.testing import (
    deliver_due,
    is_settled,
    isolated_subscribers,
    register_declared,
    skip_waits,
)
from tests.contract.puller_processes import begin, pullers
from tests.contract.steps import TYPE, fates
from tests.integration import stream_worker
from tests.servers.waiting import wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.usefixtures("postgresql_url"),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite has one writer at a time"
    ),
]

EVENTS = 200
SECONDS = 90
QUICK = '{"lease_seconds": 2, "time_limit_seconds": 1}'


@pytest.fixture
def listener(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("ROUTER", QUICK)
    with isolated_subscribers():
        stream_worker.declare_handler()
        register_declared()
        yield Subscriber.objects.get()


class Fleet:
    """Workers, what each of them said, and the places where the cursor was seen."""

    def __init__(self, running: list[Any]) -> None:
        self.running = running
        self.said: list[tuple[int, str]] = []
        self.places: list[int] = []
        self._readers = [
            threading.Thread(target=self._read, args=(index,), daemon=True)
            for index in range(len(running))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, index: int) -> None:
        for line in self.running[index].stdout:
            self.said.append((index, line.strip()))

    def at_work(self) -> int:
        """Which one began an event last."""
        return [index for index, line in self.said if line.startswith("begin")][-1]

    def look(self) -> int:
        """What a dispatcher does beside them; returns the cursor's place."""
        sweep_turns()
        sweep()
        place: int = Cursor.objects.get().position
        self.places.append(place)
        return place

    def until(self, condition: Callable[[int], bool]) -> None:
        wait_until(lambda: condition(self.look()), SECONDS)

    def words(self) -> Counter[str]:
        return Counter(line.split()[0] for _, line in self.said)


@contextmanager
def fleet(
    row: Subscriber, count: int, program: str = stream_worker.__name__
) -> Iterator[Fleet]:
    with pullers(row, count, program=program) as running:
        begin(running)
        yield Fleet(running)


def send(count: int, **more: object) -> None:
    for n in range(count):
        publish(TYPE, {"n": n, **more})
    while route_batch().event_count:
        pass


def assert_each_effect_is_there_once(count: int) -> None:
    """Once what was set aside is done as well, here and now."""
    for _ in range(5):
        skip_waits()
        deliver_due()
    assert is_settled()
    assert fates() == ["ACKNOWLEDGED"] * count
    names = User.objects.values_list("username", flat=True)
    assert Counter(int(name.split(":")[0]) for name in names) == dict.fromkeys(
        range(count), 1
    )


def test_killed_workers_double_nothing_and_lose_nothing(listener: Subscriber) -> None:
    Subscriber.objects.update(mean_run_ms=5)
    send(EVENTS)

    with fleet(listener, 5) as workers:
        for place in (20, 60, 120):
            workers.until(lambda now, place=place: now >= place)
            workers.running[workers.at_work()].kill()
        workers.until(lambda now: now == EVENTS)

    assert workers.places == sorted(workers.places)
    assert workers.words()["beside"] == 0
    assert len({index for index, line in workers.said if "begin" in line}) >= 3
    # Each kill makes a suspect at most, which was alone under the lease.
    assert Delivery.objects.count() <= 3
    assert_each_effect_is_there_once(EVENTS)


def test_a_worker_that_wakes_after_its_lease_ran_out_writes_nothing(
    listener: Subscriber, tmp_path: Path
) -> None:
    Subscriber.objects.update(mean_run_ms=5)
    marker = tmp_path / "stopped"
    send(10, stops_once=str(marker))

    with fleet(listener, 2) as workers:
        wait_until(lambda: workers.words()["stopping"] == 1, SECONDS)
        [zombie] = [index for index, line in workers.said if line == "stopping"]
        stopped_at = len(workers.said)
        # The other one does all of it: first each event that was under the lease alone.
        workers.until(lambda now: now == 10)
        workers.running[zombie].send_signal(signal.SIGCONT)
        # It goes on with its chunk, and finds the lease lost.
        wait_until(lambda: (zombie, "served") in workers.said[stopped_at:], SECONDS)
        workers.look()
        assert workers.running[zombie].poll() is None

    assert workers.places == sorted(workers.places)
    assert_each_effect_is_there_once(10)


def test_a_session_that_is_cut_off_within_a_chunk_costs_one_more_run(
    listener: Subscriber,
) -> None:
    Subscriber.objects.update(mean_run_ms=5)
    send(EVENTS)

    with fleet(listener, 2) as workers:
        for place in (10, 60, 120):
            workers.until(lambda now, place=place: now >= place)
            end_sessions_of_workers()
        workers.until(lambda now: now == EVENTS)

    assert workers.places == sorted(workers.places)
    assert workers.words()["beside"] == 0
    assert_each_effect_is_there_once(EVENTS)


def end_sessions_of_workers() -> None:
    """Those that are within a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND state IN ('active', 'idle in transaction')"
        )
