"""Failed tasks and resending over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router.models import (
    AuditEntry,
    Delivery,
    FailedTask,
    FailedTaskState,
    Subscriber,
)
from router.public import publish, subscriber
from router.testing import deliver_due, register_declared
from tests.integration.api import Call, Get, assert_problem
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event

pytestmark = pytest.mark.usefixtures("empty_router")


def a_dead(name: str = "erp") -> FailedTask:
    row = Subscriber.objects.filter(name=name).first() or a_subscriber(name)
    delivery = a_delivery(an_event(), row, "DEAD", attempts=8, failures=8)
    return a_failed_task(delivery)


def shown(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [result["id"] for result in response.json()["results"]]


def test_a_failed_task_is_shown_with_its_evidence(get: Get) -> None:
    task = a_dead()
    (result,) = get("failed-tasks/").json()["results"]
    assert result.pop("opened_at")
    assert result == {
        "id": task.pk,
        "subscriber": "erp",
        "event": task.event_id,
        "delivery": task.delivery_id,
        "reason": "EXHAUSTED",
        "error": "builtins.ValueError: no such warehouse",
        "attempts": 8,
        "state": "open",
        "settled_at": None,
        "settled_by": "",
        "note": "",
    }


def test_the_list_is_narrowed(get: Get) -> None:
    first, second, third = a_dead("erp"), a_dead("crm"), a_dead("crm")
    FailedTask.objects.filter(pk=second.pk).update(state=FailedTaskState.DISCARDED)
    assert shown(get("failed-tasks/")) == [third.pk, second.pk, first.pk]
    assert shown(get("failed-tasks/", state="open")) == [third.pk, first.pk]
    assert shown(get("failed-tasks/", state="discarded")) == [second.pk]
    assert shown(get("failed-tasks/", subscriber="crm")) == [third.pk, second.pk]
    assert shown(get("failed-tasks/", subscriber="crm", state="open")) == [third.pk]
    assert_problem(get("failed-tasks/", state="closed"), 400)
    assert_problem(get("failed-tasks/", sate="open"), 400)
    assert_problem(get("failed-tasks/", subscriber="\x00"), 400)


def test_more_rows_take_no_more_statements(get: Get) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            get("failed-tasks/")
        return len(captured)

    a_dead()
    few = statements()
    for number in range(4):
        a_dead(f"more-{number}")
    assert statements() == few


@pytest.mark.parametrize(
    ("act", "state", "delivery_state"),
    [("retry", "retried", "PENDING"), ("discard", "discarded", "CANCELLED")],
)
def test_a_failed_task_is_settled_once(
    call: Call, act: str, state: str, delivery_state: str
) -> None:
    task = a_dead()
    response = call("POST", f"failed-tasks/{task.pk}/{act}/", {"note": "fixed"})
    assert response.status_code == 200
    body = response.json()
    assert (body["state"], body["note"]) == (state, "fixed")
    assert body["settled_by"] == "key manager"
    assert Delivery.objects.get().state == delivery_state
    assert str(AuditEntry.objects.get()) == (
        f"failed_task.{state} of failed task {task.pk} by key manager"
    )
    for second_act in ("retry", "discard"):
        problem = assert_problem(
            call("POST", f"failed-tasks/{task.pk}/{second_act}/", {}), 409
        )
        assert f"already {state} by key manager" in problem["detail"]
    assert Delivery.objects.get().state == delivery_state
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize(
    "path",
    [
        "failed-tasks/99/retry/",
        f"failed-tasks/{'9' * 30}/discard/",
        "deliveries/99/resend/",
        f"deliveries/{'9' * 30}/resend/",
    ],
)
def test_what_is_not_there_is_not_found(call: Call, path: str) -> None:
    assert_problem(call("POST", path, {}), 404)


def test_a_note_that_can_not_be_kept_is_refused(call: Call) -> None:
    task = a_dead()
    for note in ("x" * 1001, "\x00", ["fixed"]):
        problem = call("POST", f"failed-tasks/{task.pk}/retry/", {"note": note})
        assert_problem(problem, 422)
    assert FailedTask.objects.get().state == FailedTaskState.OPEN


class TestResend:
    def test_what_is_done_is_delivered_once_more(self, call: Call) -> None:
        seen: list[int] = []
        subscriber("listener", events=["thing.happened"])(
            lambda event: seen.append(event.data)
        )
        register_declared()
        publish("thing.happened", 7)
        deliver_due()
        first = Delivery.objects.get()

        response = call("POST", f"deliveries/{first.pk}/resend/", {})
        assert response.status_code == 202
        assert response.json() == {
            "id": Delivery.objects.latest("pk").pk,
            "event": first.event_id,
            "subscriber": "listener",
            "state": "PENDING",
            "origin": "replay",
            "run": 1,
        }
        assert deliver_due() == 1
        assert seen == [7, 7]
        assert "delivery.resent" in str(AuditEntry.objects.get())
        attempt = Delivery.objects.latest("pk").attempt_log.get()
        assert attempt.trigger == "MANUAL"
        assert call("POST", f"deliveries/{first.pk}/resend/", {}).json()["run"] == 2

    def test_what_is_dead_is_retried(self, call: Call) -> None:
        task = a_dead()
        body = call("POST", f"deliveries/{task.delivery_id}/resend/", {}).json()
        assert (body["id"], body["state"]) == (task.delivery_id, "PENDING")
        assert Delivery.objects.count() == 1
        assert FailedTask.objects.get().state == FailedTaskState.RETRIED

    @pytest.mark.parametrize(
        ("state", "reason"),
        [
            ("PENDING", "still owed"),
            ("LEASED", "still owed"),
            ("CANCELLED", "cancelled"),
            ("DEAD", "settled already"),  # It has no failed task.
        ],
    )
    def test_what_can_not_be_is_refused(
        self, call: Call, state: str, reason: str
    ) -> None:
        delivery = a_delivery(an_event(), a_subscriber("erp"), state)
        problem = assert_problem(
            call("POST", f"deliveries/{delivery.pk}/resend/", {}), 409
        )
        assert reason in problem["detail"]
        assert Delivery.objects.count() == 1

    @pytest.mark.parametrize("state", ["PENDING", "LEASED", "DEAD"])
    def test_one_at_a_time_is_owed(self, call: Call, state: str) -> None:
        event, erp = an_event(), a_subscriber("erp")
        first = a_delivery(event, erp, "ACKNOWLEDGED")
        rerun = a_delivery(event, erp, state, run=1)
        problem = assert_problem(
            call("POST", f"deliveries/{first.pk}/resend/", {}), 409
        )
        assert f"Delivery {rerun.pk}" in problem["detail"]
        assert Delivery.objects.count() == 2

    def test_a_deleted_subscriber_is_owed_nothing(self, call: Call) -> None:
        erp = a_subscriber("erp", deleted_at=timezone.now())
        delivery = a_delivery(an_event(), erp, "ACKNOWLEDGED")
        assert_problem(call("POST", f"deliveries/{delivery.pk}/resend/", {}), 409)
        assert Delivery.objects.count() == 1
