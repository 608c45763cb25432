"""A backfill while workers and dispatchers are killed, and live events come beside it:
the receiver has each event exactly once.

Only PostgreSQL has several writers at a time.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from router.contract.digest import digest_of
from router.flow.route.routing import route_batch
from router.models import Cursor, EventRecord, Run, RunState, Subscriber
from router.operate.subscribers import create_subscriber
from router.public import publish
from router.testing import (
    deliver_due,
    isolated_subscribers,
    register_declared,
    skip_waits,
)
from tests.contract.puller_processes import begin, pullers
from tests.contract.steps import TYPE, ack, take
from tests.integration import filling_process, stream_worker
from tests.servers.waiting import wait_until

pytestmark = [
    pytest.mark.usefixtures("postgresql_url"),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite has one writer at a time"
    ),
]

HISTORY, LIVE_EVENTS = 2000, 100
SECONDS = 240
KEYS = 50
QUICK = '{"lease_seconds": 2, "time_limit_seconds": 1}'


@pytest.fixture
def history(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Events of the past, and nobody who had them."""
    monkeypatch.setenv("ROUTER", QUICK)
    with isolated_subscribers():
        send(range(HISTORY))
        while route_batch().event_count:
            pass
        yield


def send(numbers: range) -> None:
    with transaction.atomic():
        for n in numbers:
            publish(TYPE, {"n": n}, partitionkey=f"k{n % KEYS}")


class Processes:
    """So many of one program; one is killed, and replaced, at a time."""

    def __init__(self, stack: ExitStack, row: Subscriber, program: Any) -> None:
        self._start = lambda: stack.enter_context(
            pullers(row, 1, program=program.__name__)
        )
        self._running: list[Any] = []

    def start(self) -> None:
        running = self._start()
        begin(running)
        for process in running:
            # What it says fills the pipe.
            threading.Thread(target=process.stdout.read, daemon=True).start()
        self._running += running

    def kill_first(self) -> None:
        self._running.pop(0).kill()
        self.start()


@pytest.mark.usefixtures("history")
def test_a_handler_has_each_event_once_whatever_is_killed() -> None:
    stream_worker.declare_handler(start="beginning")
    register_declared()
    row = Subscriber.objects.get()
    Subscriber.objects.update(mean_run_ms=3)
    with ExitStack() as stack:
        dispatcher = Processes(stack, row, filling_process)
        workers = Processes(stack, row, stream_worker)
        dispatcher.start()
        workers.start()
        workers.start()
        for place in (HISTORY // 8, HISTORY // 2):
            wait_until(lambda place=place: position(row, 1) >= place, SECONDS)
            send(_live(place))
            workers.kill_first()
            dispatcher.kill_first()
        wait_until(lambda: is_done(row), SECONDS)
    for _ in range(5):
        skip_waits()
        deliver_due()
    names = User.objects.values_list("username", flat=True)
    effects = Counter(int(name.split(":")[0]) for name in names)
    assert effects == Counter(range(HISTORY + 2 * LIVE_EVENTS))
    check_run(row)


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("ordering", ["none", "key"])
def test_a_puller_has_each_event_once_whatever_is_killed(ordering: str) -> None:
    wanted = {"transport": "pull", "events": [TYPE], "ordering": ordering}
    made = create_subscriber("erp", by="test", start="beginning", **wanted)
    row, got = made.subscriber, list[int]()
    with ExitStack() as stack:
        dispatcher = Processes(stack, row, filling_process)
        dispatcher.start()
        for place in (HISTORY // 8, HISTORY // 2):
            wait_until(lambda place=place: pull(row, got) >= place, SECONDS)
            send(_live(place))
            dispatcher.kill_first()
        total = HISTORY + 2 * LIVE_EVENTS
        wait_until(lambda: pull(row, got) >= total, SECONDS)
        if ordering == "none":
            wait_until(lambda: Run.objects.get().state == RunState.COMPLETE, SECONDS)
    assert Counter(got) == Counter(range(total))
    if ordering == "none":
        check_run(row)
        return
    by_key = defaultdict(list)
    for n in got:
        by_key[n % KEYS].append(n)
    assert all(of_key == sorted(of_key) for of_key in by_key.values())


def _live(place: int) -> range:
    """The numbers of the live events that are sent at this place."""
    first = HISTORY if place < HISTORY // 2 else HISTORY + LIVE_EVENTS
    return range(first, first + LIVE_EVENTS)


def pull(row: Subscriber, got: list[int]) -> int:
    """Take and acknowledge what is there; returns how many came in all."""
    batch = take(row, most=100)
    got += [delivery.event.data["n"] for delivery in batch]
    assert all(ack(batch))
    return len(got)


def position(row: Subscriber, run: int) -> int:
    place: int = Cursor.objects.get(subscriber=row, run=run).position
    return place


def is_done(row: Subscriber) -> bool:
    last = EventRecord.objects.filter(type=TYPE).order_by("-number")[0].position
    is_live_done = last is not None and position(row, 0) >= last
    return is_live_done and Run.objects.get().state != RunState.ACTIVE


def check_run(row: Subscriber) -> None:
    run = Run.objects.get(subscriber=row)
    events = EventRecord.objects.filter(type=TYPE, position__lte=HISTORY)
    assert (run.state, run.count) == (RunState.COMPLETE, HISTORY)
    assert run.digest == digest_of(events.values_list("source", "event_id"))
