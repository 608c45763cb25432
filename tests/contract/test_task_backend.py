"""Django's tasks, run by the router: what `enqueue()` promises."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router.contract.errors import EventConflict, InvalidEvent
from router.models import (
    Delivery,
    EventRecord,
    EventSchema,
    FailedTask,
    RunKind,
    Subscriber,
)
from router.operate.run_request import RunRequest
from router.operate.runs import begin_run
from router.public import Event, publish
from router.public import subscriber as declare_subscriber
from router.task_backend.framework import (
    InvalidTask,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
    task_finished,
    task_started,
)
from router.testing import deliver_due, register_declared, skip_waits
from tests.contract import some_tasks
from tests.contract.task_steps import backend, event, tasks_of

READY, SUCCESSFUL = TaskResultStatus.READY, TaskResultStatus.SUCCESSFUL


@pytest.fixture(params=[False, True], ids=["row by row", "in the stream"])
def is_transactional(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(autouse=True)
def tasks(transactional_db: None, is_transactional: bool) -> Iterator[None]:
    with tasks_of(
        default=backend("default", "mail", is_transactional=is_transactional)
    ):
        yield


def test_each_queue_is_a_subscriber(is_transactional: bool) -> None:
    rows = Subscriber.objects.order_by("name")
    assert [(row.name, row.title, row.is_streamed) for row in rows] == [
        ("tasks_default", "Tasks: default", is_transactional),
        ("tasks_mail", "Tasks: mail", is_transactional),
    ]


def test_a_task_runs_once_with_its_arguments() -> None:
    result = some_tasks.note.enqueue("é", 1, [None], size={"cm": 2.5})
    assert result.status == READY
    assert some_tasks.ran == []

    deliver_due()
    deliver_due()

    assert some_tasks.ran == [["é", 1, [None], {"size": {"cm": 2.5}}]]


def test_a_task_is_owed_to_the_subscriber_of_its_queue_alone() -> None:
    seen: list[Event] = []
    for name, pattern in (("a", "*"), ("b", "router.*"), ("c", "router.task.*")):
        declare_subscriber(name, events=[pattern])(lambda event: seen.append(event))
    register_declared()

    some_tasks.note.using(queue_name="mail").enqueue(1)
    deliver_due()

    assert seen == []
    assert event().only_for == Subscriber.objects.get(name="tasks_mail")
    assert some_tasks.ran == [[1]]


def test_a_rollback_takes_the_task_away() -> None:
    with transaction.atomic():
        some_tasks.note.enqueue(1)
        transaction.set_rollback(True)

    assert deliver_due() == 0
    assert not EventRecord.objects.exists()


def test_enqueueing_is_one_row_and_two_statements() -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        some_tasks.note.enqueue(1)

    # Registered schemas are read anew every few seconds, whatever is published.
    made = [
        query["sql"].split()[0]
        for query in queries
        if EventSchema._meta.db_table not in query["sql"]
    ]
    assert made == ["SELECT", "INSERT"]
    assert EventRecord.objects.count() == 1


def test_a_coroutine_may_enqueue() -> None:
    # What is synchronous within it runs in this thread, on this connection.
    result = async_to_sync(some_tasks.note.aenqueue)(1)
    deliver_due()
    assert some_tasks.ran == [[1]]
    found = async_to_sync(some_tasks.note.aget_result)(result.id)
    assert found.status == SUCCESSFUL


def test_effects_in_the_same_database_commit_with_the_acknowledgement(
    is_transactional: bool,
) -> None:
    some_tasks.make_user.enqueue("olga")
    failed = some_tasks.make_user_and_fail.enqueue("ben")

    deliver_due()

    names = set(User.objects.values_list("username", flat=True))
    assert names == ({"olga"} if is_transactional else {"olga", "ben"})
    assert some_tasks.make_user_and_fail.get_result(failed.id).attempts == 1


def test_a_second_run_of_a_handler_enqueues_nothing_twice() -> None:
    failures = [LookupError(), None]

    def handle(event: Event) -> None:
        some_tasks.note.enqueue(event.data)
        if failure := failures.pop(0):
            raise failure

    declare_subscriber("shop", events=["thing.happened"], is_transactional=False)(
        handle
    )
    register_declared()
    publish("thing.happened", 7)

    deliver_due()
    skip_waits()
    deliver_due()

    assert failures == []
    assert some_tasks.ran == [[7]]


def test_a_replay_of_a_handler_enqueues_nothing_that_it_enqueued_before() -> None:
    """Whatever it would say now: the task of the first run was done."""
    words = ["then", "now"]

    def handle(event: Event) -> None:
        some_tasks.note.enqueue(words.pop(0))

    declare_subscriber("shop", events=["thing.happened"], is_idempotent=True)(handle)
    register_declared()
    publish("thing.happened", 7)
    deliver_due()
    row = Subscriber.objects.get(name="shop")
    begin_run(row, RunRequest(kind=RunKind.REPLAY, start="beginning"), by="olga")

    deliver_due()

    assert (words, some_tasks.ran) == ([], [["then"]])
    assert not FailedTask.objects.exists()
    assert not Delivery.objects.filter(failures__gt=0).exists()


def test_nobody_outside_can_publish_a_task() -> None:
    some_tasks.note.enqueue(1)
    forged = event()

    with pytest.raises(InvalidEvent, match="router's own"):
        publish(forged.type, forged.json_data())

    with pytest.raises(EventConflict):
        publish("thing.happened", forged.json_data(), id=forged.event_id)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        # A worker finds it by its path alone, where there is another thing.
        (lambda: some_tasks.another_name.enqueue(), InvalidTask),
        (lambda: some_tasks.note.enqueue(object()), TypeError),
        (lambda: some_tasks.note.enqueue(b"\xff"), ValueError),
        (lambda: some_tasks.note.enqueue(float("nan")), InvalidEvent),
        (lambda: some_tasks.note.enqueue("x" * 2**20), InvalidEvent),
        (lambda: some_tasks.note.using(queue_name="unknown"), InvalidTask),
        (lambda: some_tasks.note.using(priority=1), InvalidTask),
    ],
)
def test_what_can_not_be_run_is_refused_at_once(call: Any, error: type) -> None:
    with pytest.raises(error):
        call()
    assert not EventRecord.objects.exists()


def test_a_queue_without_a_subscriber_refuses_and_says_what_to_do() -> None:
    Subscriber.objects.filter(name="tasks_mail").update(name="other")
    with pytest.raises(InvalidTask, match=r"tasks_mail yet: run `manage.py migrate`"):
        some_tasks.note.using(queue_name="mail").enqueue()


def test_a_deferred_task_waits_for_its_time(is_transactional: bool) -> None:
    at = timezone.now() + timedelta(days=30)
    if is_transactional:
        with pytest.raises(InvalidTask, match="run_after"):
            some_tasks.note.using(run_after=at)
        return
    later = some_tasks.note.using(run_after=at).enqueue("later")
    some_tasks.note.enqueue("now")

    assert deliver_due() == 1
    assert some_tasks.ran == [["now"]]
    row = Delivery.objects.get(event__event_id=later.id)
    # Until then it is not the oldest that waits: no alert is raised.
    assert (row.due_at, row.created_at) == (at, at)
    found = some_tasks.note.get_result(later.id)
    assert (found.status, found.task.run_after) == (READY, at)

    skip_waits()
    deliver_due()
    assert some_tasks.ran == [["now"], ["later"]]
    done = some_tasks.note.get_result(later.id)
    assert (done.status, done.attempts, done.errors) == (SUCCESSFUL, 1, [])


def test_the_time_of_an_event_of_others_is_theirs() -> None:
    """An extension of that name on an event of the shop holds nothing back."""
    seen: list[Event] = []
    declare_subscriber("shop", events=["thing.*"], is_transactional=False)(seen.append)
    register_declared()
    at = (timezone.now() + timedelta(days=30)).isoformat()

    publish("thing.happened", 1, extensions={"notbefore": at})

    assert deliver_due() == 1
    assert len(seen) == 1


def test_signals_say_what_began_and_what_was_done() -> None:
    said: list[tuple[str, str, Any]] = []

    def started(task_result: Any, **_: Any) -> None:
        said.append(("started", task_result.id, task_result.status))

    def finished(task_result: Any, **_: Any) -> None:
        said.append(("finished", task_result.id, task_result.status))

    task_started.connect(started)
    task_finished.connect(finished)
    try:
        result = some_tasks.note.enqueue()
        deliver_due()
    finally:
        task_started.disconnect(started)
        task_finished.disconnect(finished)

    assert said == [
        ("started", result.id, TaskResultStatus.RUNNING),
        ("finished", result.id, SUCCESSFUL),
    ]


def test_no_log_line_has_an_argument(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        some_tasks.note.enqueue("olga@customers.example")
        some_tasks.fail.enqueue("olga@customers.example")
        deliver_due()

    lines = [
        f"{record.getMessage()}{record.exc_text}"
        for record in caplog.records
        if record.name != "django.db.backends"
    ]
    assert any("some_tasks.note" in line for line in lines)
    assert not any("olga" in line for line in lines)


def test_the_result_of_a_task_that_is_done() -> None:
    result = some_tasks.answer.enqueue()
    deliver_due()

    result.refresh()

    assert (result.status, result.attempts, result.errors) == (SUCCESSFUL, 1, [])
    assert result.is_finished
    assert result.enqueued_at <= result.finished_at
    assert result.started_at <= result.finished_at
    with pytest.raises(NotImplementedError, match="keeps no return values"):
        _ = result.return_value


def test_an_unknown_result_does_not_exist() -> None:
    shop = publish("thing.happened", 1, id="1")
    assert shop.event.source == "/router"
    for unknown in ("1", "nothing"):
        with pytest.raises(TaskResultDoesNotExist):
            task_backends["default"].get_result(unknown)
