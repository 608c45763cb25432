"""Failed tasks and resending over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router.flow.causes import group_by_cause
from router.flow.ramped_retries import advance_ramped_retries
from router.models import (
    AuditEntry,
    Delivery,
    FailedTask,
    FailedTaskState,
    Subscriber,
)
from router.operate.declared import pause
from router.public import publish, subscriber
from router.testing import deliver_due, register_declared, route
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
        "notes": "",
        "assignee": "",
        "successor": None,
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


def test_a_note_that_can_not_be_kept_is_refused(call: Call) -> None:
    task = a_dead()
    for note in ("x" * 1001, "\x00", ["fixed"]):
        problem = call("POST", f"failed-tasks/{task.pk}/retry/", {"note": note})
        assert_problem(problem, 422)
    assert FailedTask.objects.get().state == FailedTaskState.OPEN


class TestCauses:
    """What is done to all failed tasks of one cause."""

    def test_a_cause_is_retried_at_a_ramp_once(self, call: Call, get: Get) -> None:
        task = a_dead()
        group_by_cause()
        [cause] = get("failed-tasks/groups/").json()["results"]
        path = f"failed-tasks/groups/{cause['id']}"
        begun = call("POST", f"{path}/retry/", {"note": "fixed"})
        assert begun.status_code == 202
        retry = begun.json()
        assert (retry["state"], retry["remaining"]) == ("active", 1)
        assert retry["requested_by"] == "key manager"

        problem = assert_problem(call("POST", f"{path}/retry/", {}), 409)
        assert "key manager began to retry these" in problem["detail"]
        [cause] = get("failed-tasks/groups/").json()["results"]
        assert cause["retry"]["id"] == retry["id"]
        advance_ramped_retries()
        cancelled = call("POST", f"{path}/cancel-retry/", {}).json()
        assert (cancelled["state"], cancelled["moving"]) == ("cancelled", 0)
        assert_problem(call("POST", f"{path}/cancel-retry/", {}), 409)
        task.refresh_from_db()
        assert task.state == FailedTaskState.OPEN
        assert call("POST", f"{path}/discard/", {}).json() == {"discarded": 1}
        assert_problem(call("POST", f"{path}/discard/", {}), 409)
        assert_problem(call("POST", f"{path}/retry/", {}), 409)

    def test_what_is_older_than_the_time_is_not_retried(self, call: Call) -> None:
        a_dead()
        path = "subscribers/erp/retry-failed-tasks/"
        later = timezone.now() + timedelta(hours=1)
        assert_problem(call("POST", path, {"since": later.isoformat()}), 409)
        assert_problem(call("POST", path, {"since": "yesterday"}), 422)
        assert call("POST", path, {}).json()["remaining"] == 1


class TestSubstitutes:
    def test_data_is_edited_once_and_taken_back(self, call: Call) -> None:
        task = a_dead()
        path = f"failed-tasks/{task.pk}"
        assert_problem(call("POST", f"{path}/edit-and-retry/", {}), 422)
        unchanged = {"data": task.event.data}
        assert_problem(call("POST", f"{path}/edit-and-retry/", unchanged), 422)
        edited = call("POST", f"{path}/edit-and-retry/", {"data": {"n": 1}}).json()
        owed = Delivery.objects.get(pk=edited["successor"])
        assert (edited["state"], owed.event.data) == ("retried", {"n": 1})
        problem = call("POST", f"{path}/edit-and-retry/", {"data": {"n": 2}})
        assert (
            "already retried by key manager" in assert_problem(problem, 409)["detail"]
        )
        restored = call("POST", f"{path}/restore/", {}).json()
        assert (restored["state"], restored["successor"]) == ("open", None)
        assert_problem(call("POST", f"{path}/restore/", {}), 409)

    def test_an_event_is_redirected_to_another_alone(self, call: Call) -> None:
        task = a_dead()
        a_subscriber("crm")
        path = f"failed-tasks/{task.pk}/redirect/"
        assert_problem(call("POST", path, {"subscriber": "nobody"}), 404)
        assert_problem(call("POST", path, {"subscriber": "erp"}), 409)
        body = call("POST", path, {"subscriber": "crm"}).json()
        assert body["state"] == "redirected"


class TestResend:
    @pytest.mark.parametrize("is_safe_concurrently", [True, False])
    def test_what_is_done_is_delivered_once_more(
        self, call: Call, is_safe_concurrently: bool
    ) -> None:
        """With a delivery, and without: in the stream."""
        seen: list[int] = []
        subscriber(
            "listener",
            events=["thing.happened"],
            is_safe_concurrently=is_safe_concurrently,
        )(lambda event: seen.append(event.data))
        register_declared()
        number = publish("thing.happened", 7).number
        deliver_due()
        body = {"subscriber": "listener", "reason": "lost there"}

        response = call("POST", f"events/{number}/resend/", body)
        assert response.status_code == 202
        again = Delivery.objects.latest("pk")
        assert response.json() == {
            "id": again.pk,
            "event": number,
            "subscriber": "listener",
            "state": "PENDING",
            "origin": "replay",
            "run": 1,
        }
        assert AuditEntry.objects.get().reason == "lost there"
        problem = call("POST", f"events/{number}/resend/", body)
        assert "still owed" in assert_problem(problem, 409)["detail"]
        assert deliver_due() == 1
        assert seen == [7, 7]
        assert again.attempt_log.get().trigger == "MANUAL"
        # By its delivery and by the event, runs have numbers of one series.
        assert call("POST", f"deliveries/{again.pk}/resend/", {}).json()["run"] == 2
        deliver_due()
        assert call("POST", f"events/{number}/resend/", body).json()["run"] == 3

    def test_what_is_not_served_or_was_never_owed_is_not_sent_again(
        self, call: Call
    ) -> None:
        early = publish("thing.happened", 1).number
        route()
        subscriber("listener", events=["thing.happened"])(lambda event: None)
        register_declared()
        unasked = publish("other.happened", 2).number
        route()
        pause(Subscriber.objects.get().pk, reason="", by="user olga")
        waiting = publish("thing.happened", 3).number
        route()
        unrouted = publish("thing.happened", 4).number
        expected = {
            early: "was not owed this event",
            unasked: "was not owed this event",
            waiting: "not served yet",
            unrouted: "not routed yet",
        }
        for number, reason in expected.items():
            body = {"subscriber": "listener"}
            problem = call("POST", f"events/{number}/resend/", body)
            assert reason in assert_problem(problem, 409)["detail"]
        for path, body in (
            ("events/99999/resend/", {"subscriber": "listener"}),
            (f"events/{'9' * 30}/resend/", {"subscriber": "listener"}),
            (f"events/{early}/resend/", {"subscriber": "nobody"}),
        ):
            assert_problem(call("POST", path, body), 404)
        assert_problem(call("POST", f"events/{early}/resend/", {}), 422)
        assert not Delivery.objects.exists()

    def test_an_event_that_was_given_up_is_retried(self, call: Call) -> None:
        task = a_dead()
        body = {"subscriber": "erp"}
        resent = call("POST", f"events/{task.event_id}/resend/", body).json()
        assert (resent["id"], resent["state"]) == (task.delivery_id, "PENDING")

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
