"""Pruning beside others that want the same rows; SQLite has one writer at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event as Flag
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from config.env import BASE_DIR
from router.contract.errors import NotResendable
from router.flow.prune import Walk
from router.models import Attempt, Delivery, EventRecord, LogHead
from router.operate.resend import resend
from router.public import Published, publish
from router.testing import add_history, deliver_due
from tests.contract.puller_processes import own_database_url
from tests.contract.steps import TYPE
from tests.integration.steps import lock_waits
from tests.receivers import Declare
from tests.servers.waiting import wait_until

DAYS, HISTORY, SECONDS = 30, 10_000, 60
#: Texts of the walk's statements; one that none has.
LOCK, DELETE = "FOR UPDATE SKIP LOCKED", 'DELETE FROM "router_eventrecord"'
NEVER = "NEVER"


@pytest.fixture(autouse=True)
def postgresql(transactional_db: None) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")


@pytest.fixture
def in_a_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1, initializer=close) as pool:
        yield pool
        pool.submit(close).result(SECONDS)


def close() -> None:
    """The connection of this thread."""
    connection.close()


def grow_old() -> None:
    at = timezone.now() - timedelta(days=DAYS + 1)
    EventRecord.objects.update(recorded_at=at)


def walk() -> int:
    """Returns how many events were deleted."""
    made = Walk(DAYS)
    while made.step():
        pass
    return made.pruned.rows["events"]


@pytest.fixture
def done(declare: Declare) -> int:
    """An old delivery that is acknowledged."""
    declare("listener", is_safe_concurrently=True)
    publish(TYPE, {})
    deliver_due()
    grow_old()
    return Delivery.objects.get().pk


def walk_with(
    act: Callable[[], object], *, before: str = NEVER, after: str = NEVER
) -> int:
    """A walk, with `act` before or after the statement that has this text."""
    acts = [act]

    def wrapper(execute: Any, sql: str, *rest: Any) -> Any:
        if before in sql and acts:
            acts.pop()()
        result = execute(sql, *rest)
        if after in sql and acts:
            acts.pop()()
        return result

    with connection.execute_wrapper(wrapper):
        count = walk()
    assert not acts
    return count


@pytest.mark.parametrize("is_committed", [True, False])
def test_an_event_that_is_sent_again_meanwhile_stays(
    done: int, in_a_thread: ThreadPoolExecutor, is_committed: bool
) -> None:
    is_sent, may_commit = Flag(), Flag()

    def send_again() -> None:
        with transaction.atomic():
            resend(done, by="test")
            is_sent.set()
            assert may_commit.wait(SECONDS)

    def let_it_begin() -> None:
        sending.append(in_a_thread.submit(send_again))
        assert is_sent.wait(SECONDS)
        if is_committed:
            may_commit.set()
            sending[0].result(SECONDS)

    sending: list[Future[None]] = []
    assert walk_with(let_it_begin, before=LOCK) == 0
    may_commit.set()
    sending[0].result(SECONDS)

    assert deliver_due() == 1


def test_what_is_being_deleted_can_not_be_sent_again(
    done: int, in_a_thread: ThreadPoolExecutor
) -> None:
    def send_again() -> None:
        with pytest.raises(NotResendable, match="pruned"):
            resend(done, by="test")

    def let_it_wait() -> None:
        sending.append(in_a_thread.submit(send_again))
        wait_until(lambda: lock_waits() or sending[0].done())

    sending: list[Future[None]] = []
    assert walk_with(let_it_wait, before=DELETE) == 1
    sending[0].result(SECONDS)

    assert not Delivery.objects.exists()


def test_the_same_event_published_meanwhile_is_a_new_one(
    done: int, in_a_thread: ThreadPoolExecutor
) -> None:
    event_id = EventRecord.objects.get().event_id

    def let_it_wait() -> None:
        publishing.append(in_a_thread.submit(publish, TYPE, {}, id=event_id))
        wait_until(lambda: lock_waits() or publishing[0].done())

    publishing: list[Future[Published]] = []
    walk_with(let_it_wait, after=DELETE)
    assert publishing[0].result(SECONDS).is_new
    assert deliver_due() == 1


@contextmanager
def pruning() -> Iterator[subprocess.Popen[str]]:
    """The command, in a process of its own on the database of the test."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "prune", "--days", str(DAYS)],
        cwd=BASE_DIR,
        env={**os.environ, "DATABASE_URL": own_database_url()},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def assert_whole() -> None:
    """Nothing is left of what is gone."""
    numbers, ids = EventRecord.objects.values("number"), Delivery.objects.values("pk")
    assert not Delivery.objects.exclude(event__in=numbers).exists()
    assert not Attempt.objects.exclude(delivery__in=ids).exists()
    gone = LogHead.objects.get().pruned_to
    young = EventRecord.objects.filter(position__gt=gone).count()
    assert young == LogHead.objects.get().position - gone


@pytest.mark.long
def test_a_killed_run_beside_live_traffic_is_resumed(declare: Declare) -> None:
    receiver = declare("listener", is_safe_concurrently=True)
    add_history(HISTORY, TYPE, {})
    grow_old()
    numbers = EventRecord.objects.order_by("number").values_list("number", flat=True)
    last, owed = numbers.last() or 0, numbers[HISTORY // 2]
    tomorrow = timezone.now() + timedelta(days=1)
    Delivery.objects.filter(event=owed).update(state="PENDING", due_at=tomorrow)
    old, published = numbers.filter(number__lte=last), []
    receiver.seen.clear()

    def go_on_until(condition: Callable[[], object]) -> None:
        def turn() -> bool:
            published.append(publish(TYPE, {}).event.id)
            deliver_due()
            return bool(condition())

        wait_until(turn)

    with pruning() as process:
        go_on_until(lambda: old.count() < HISTORY - 1000)
        process.kill()
        assert process.wait(SECONDS) == -signal.SIGKILL
    assert old.count() > 1, "it was killed in its midst"
    assert_whole()
    with pruning() as process:
        go_on_until(lambda: process.poll() is not None)
        assert process.returncode == 0

    assert list(old) == [owed]
    assert_whole()
    assert [event.id for event in receiver.seen] == published
