"""Django's tasks, run by the router: what becomes of those that fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from router.flow.deliver.claiming import claims
from router.flow.sweep import sweep
from router.models import (
    BreakerState,
    Delivery,
    EventRecord,
    FailedTask,
    Subscriber,
)
from router.operate import failed_tasks
from router.task_backend.framework import TaskResultStatus
from router.testing import deliver_due, route, skip_waits
from tests.contract import some_tasks
from tests.contract.steps import (
    delivery_ids,
    go_on,
    let_leases_run_out,
    seconds_to_wait,
)
from tests.contract.task_steps import backend, subscriber, tasks_of

READY, RUNNING = TaskResultStatus.READY, TaskResultStatus.RUNNING
FAILED, SUCCESSFUL = TaskResultStatus.FAILED, TaskResultStatus.SUCCESSFUL


@pytest.fixture(autouse=True)
def tasks(transactional_db: None) -> Iterator[None]:
    with tasks_of(default=backend("default", max_failures=3)):
        yield


def test_a_task_that_raises_is_retried_and_ends_as_a_failed_task() -> None:
    result = some_tasks.fail.enqueue("no use")
    seen = []
    for _ in range(3):
        deliver_due()
        result.refresh()
        seen.append((result.status, result.attempts, len(result.errors)))
        skip_waits()

    assert seen == [(READY, 1, 1), (READY, 2, 2), (FAILED, 3, 3)]
    error = result.errors[-1]
    assert error.exception_class is ValueError
    assert "no use" in error.traceback
    assert result.last_attempted_at > result.started_at
    with pytest.raises(ValueError, match="failed"):
        _ = result.return_value
    failed = FailedTask.objects.get()
    assert failed.subscriber == subscriber()
    # Giving up is never silent.
    notice = EventRecord.objects.get(type="router.failed_task.opened")
    assert notice.json_data()["event"]["type"] == failed.event.type


def test_an_operator_retries_a_failed_task_by_hand() -> None:
    result = some_tasks.reject.enqueue()
    deliver_due()
    result.refresh()
    assert (result.status, result.errors[0].exception_class_path) == (
        FAILED,
        "router.contract.outcomes.Reject",
    )

    failed_tasks.retry([FailedTask.objects.get().pk], by="olga")

    result.refresh()
    assert result.status == READY


def test_a_task_may_ask_to_be_called_later() -> None:
    some_tasks.ask_for_later.enqueue()
    deliver_due()
    assert seconds_to_wait(Delivery.objects.get()) == pytest.approx(1234, abs=60)


def test_a_task_that_takes_its_context_knows_which_attempt_it_is() -> None:
    some_tasks.fail_until.enqueue(3)
    deliver_due()
    go_on(2)
    assert some_tasks.ran == [(1, RUNNING), (2, RUNNING), (3, RUNNING)]


def test_a_task_whose_worker_vanished_runs_again() -> None:
    result = some_tasks.note.enqueue(1)
    route()
    [claimed] = claims(subscriber().pk, delivery_ids())
    result.refresh()
    assert (result.status, result.attempts) == (RUNNING, 1)
    assert result.started_at is not None

    let_leases_run_out()
    sweep()
    skip_waits()
    deliver_due()

    result.refresh()
    assert (result.status, result.attempts) == (SUCCESSFUL, 2)
    assert [error.exception_class.__name__ for error in result.errors] == ["LeaseLost"]
    assert some_tasks.ran == [[1]]


def test_a_task_that_this_code_does_not_have_waits_for_code_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = some_tasks.note.enqueue(1)
    task = some_tasks.note
    with monkeypatch.context() as older_release:
        older_release.delattr(some_tasks, "note")
        deliver_due()
    assert Delivery.objects.get().failures == 1

    go_on()

    assert some_tasks.ran == [[1]]
    assert task.get_result(result.id).status == SUCCESSFUL


@pytest.mark.parametrize("poison", [some_tasks.fail_too, some_tasks.reach_nobody])
def test_one_function_never_opens_the_breaker_for_the_others(poison: object) -> None:
    for _ in range(8):
        poison.enqueue()  # type: ignore[attr-defined]
    deliver_due()
    go_on(3)
    assert subscriber().breaker == BreakerState.CLOSED

    some_tasks.note.enqueue("healthy")
    deliver_due()

    assert some_tasks.ran == [["healthy"]]


def test_different_functions_that_fail_in_a_row_open_it() -> None:
    tasks = (
        some_tasks.fail_too,
        some_tasks.fail,
        some_tasks.make_user_and_fail,
        some_tasks.reach_nobody,
    )
    for number, task in enumerate(tasks):
        task.enqueue(*["x"] * (number in (1, 2)))
    deliver_due()
    assert subscriber().breaker == BreakerState.CLOSED

    some_tasks.fail_until.enqueue(5)
    deliver_due()

    assert subscriber().breaker == BreakerState.OPEN
    assert EventRecord.objects.filter(type="router.breaker.opened").exists()


def test_tasks_of_a_function_that_reaches_nobody_are_not_given_up() -> None:
    """They wait longer and longer by themselves: nothing holds them."""
    some_tasks.reach_nobody.enqueue()
    deliver_due()
    go_on(20)

    row = Delivery.objects.get()
    assert (row.state, row.attempts) == ("PENDING", 21)
    assert not FailedTask.objects.exists()


def test_waits_of_what_no_breaker_holds_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.randrange", lambda longest: longest - 1)
    Subscriber.objects.update(max_failures=9)
    some_tasks.reach_nobody.enqueue()
    waits = []
    deliver_due()
    for _ in range(6):
        waits.append(round(seconds_to_wait(Delivery.objects.get())))
        go_on()

    assert waits == sorted(waits)
    assert waits[-1] >= 30


def test_a_queue_of_another_backend_has_a_subscriber_of_its_own() -> None:
    with tasks_of(default=backend("default"), slow=backend("default", queue="slow")):
        some_tasks.note.using(backend="slow").enqueue(1)
        deliver_due()

        rows = Subscriber.objects.order_by("name").values_list("name", "queue")
        assert list(rows) == [
            ("tasks_default", "default"),
            ("tasks_slow_default", "slow"),
        ]
        assert some_tasks.ran == [[1]]
