"""What is done to a subscriber over HTTP: pause, rotate, test, try now, skip."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from router.conf import conf
from router.flow.route.routing import route_batch
from router.models import (
    AuditEntry,
    BreakerState,
    Delivery,
    EventRecord,
    FailedTask,
    SigningSecret,
    Subscriber,
    SubscriberState,
)
from router.operate.secrets import MAX_LIVE_SECRETS
from tests.integration.api import ERP, HOOK, Call, assert_problem

pytestmark = pytest.mark.usefixtures("empty_router")


def test_the_answers_to_pause_and_resume_say_the_state(call: Call) -> None:
    call("POST", "subscribers/", ERP)

    paused = call("POST", "subscribers/erp/pause/", {"reason": "stocktaking"}).json()
    assert paused["state"] == SubscriberState.PAUSED
    assert "stocktaking" in paused["state_reason"]
    assert (
        call("POST", "subscribers/erp/pause/").json()["state"] == SubscriberState.PAUSED
    )
    assert (
        call("POST", "subscribers/erp/resume/").json()["state"]
        == SubscriberState.ACTIVE
    )


def test_a_rotation_keeps_the_old_secret_for_the_overlap(call: Call) -> None:
    old = call("POST", "subscribers/", HOOK).json()["secret"]

    rotated = call(
        "POST", "subscribers/crm/rotate-secret/", {"overlap_seconds": 60}
    ).json()

    live = [signing_secret.secret for signing_secret in SigningSecret.objects.live()]
    assert live == [rotated["secret"], old]
    assert rotated["old_expire_at"]
    assert_problem(
        call("POST", "subscribers/crm/rotate-secret/", {"overlap_seconds": -1}), 422
    )


def test_a_subscriber_without_secrets_rotates_none(call: Call) -> None:
    call("POST", "subscribers/", {"name": "erp", "transport": "pull", "events": ["*"]})
    assert_problem(call("POST", "subscribers/erp/rotate-secret/"), 409)


def test_a_second_rotation_keeps_the_promise_of_the_first(call: Call) -> None:
    first = call("POST", "subscribers/", HOOK).json()["secret"]
    promised = call(
        "POST", "subscribers/crm/rotate-secret/", {"overlap_seconds": 3600}
    ).json()

    last = call("POST", "subscribers/crm/rotate-secret/", {"overlap_seconds": 0}).json()

    live = SigningSecret.objects.live()
    assert [each.secret for each in live] == [last["secret"], first]
    assert last["old_expire_at"] == promised["old_expire_at"]

    ended = call(
        "POST",
        "subscribers/crm/rotate-secret/",
        {"overlap_seconds": 0, "end_old_secrets": True},
    ).json()
    assert [
        signing_secret.secret for signing_secret in SigningSecret.objects.live()
    ] == [ended["secret"]]
    assert ended["old_expire_at"] is None


def test_no_more_secrets_sign_than_may(call: Call) -> None:
    call("POST", "subscribers/", HOOK)
    for _ in range(MAX_LIVE_SECRETS - 1):
        rotated = call("POST", "subscribers/crm/rotate-secret/")
        assert rotated.status_code == 200

    refused = assert_problem(call("POST", "subscribers/crm/rotate-secret/"), 409)

    assert f"{MAX_LIVE_SECRETS} secrets" in refused["detail"]
    end = rotated.json()["old_expire_at"].replace("T", " ")[:19]
    assert f"{end} UTC" in refused["detail"]
    assert "`end_old_secrets`" in refused["detail"]
    assert SigningSecret.objects.count() == MAX_LIVE_SECRETS

    body = {"end_old_secrets": True}
    assert call("POST", "subscribers/crm/rotate-secret/", body).status_code == 200
    assert SigningSecret.objects.live().count() == 2


def test_a_subscriber_shows_what_is_in_force(call: Call) -> None:
    crm = call("POST", "subscribers/", HOOK).json()
    assert (crm["waits_seconds"], crm["max_failures"]) == (None, None)
    assert crm["in_force"]["waits_seconds"] == list(conf().webhook_waits_seconds)
    assert crm["in_force"]["max_failures"] == len(conf().webhook_waits_seconds) + 1
    assert crm["in_force"]["in_flight_limit"] == conf().webhook_in_flight

    changes = {"waits_seconds": [1, 2], "in_flight_limit": 3}
    changed = call("PATCH", "subscribers/crm/", changes).json()["in_force"]
    assert (changed["waits_seconds"], changed["max_failures"]) == ([1, 2], 3)
    assert changed["in_flight_limit"] == 3

    erp = call("POST", "subscribers/", ERP).json()["in_force"]
    assert erp == {
        "waits_seconds": None,
        "first_wait_seconds": conf().retry_first_seconds,
        "longest_wait_seconds": conf().retry_maximum_seconds,
        "max_failures": conf().max_failures,
        "in_flight_limit": None,
        "alert_rules": {
            "backlog_age_seconds": conf().alerts.backlog_age_seconds,
            "failure_rate": conf().alerts.failure_rate,
            "open_failed_tasks": conf().alerts.open_failed_tasks,
        },
    }


def test_a_test_event_goes_to_that_subscriber_alone(call: Call) -> None:
    call("POST", "subscribers/", ERP)
    call("POST", "subscribers/", {**ERP, "name": "crm", "events": ["*"]})

    number = call("POST", "subscribers/erp/test/").json()["number"]

    route_batch()
    assert EventRecord.objects.get(pk=number).type == "router.test"
    assert Delivery.objects.get().subscriber.name == "erp"


def test_a_test_event_to_a_held_subscriber_says_why_it_waits(call: Call) -> None:
    call("POST", "subscribers/", HOOK)
    assert call("POST", "subscribers/crm/test/").json()["held_because"] is None

    Subscriber.objects.update(breaker=BreakerState.OPEN, probe_at=timezone.now())
    assert (
        "breaker is open"
        in call("POST", "subscribers/crm/test/").json()["held_because"]
    )

    call("POST", "subscribers/crm/pause/", {"reason": "stocktaking"})
    assert "stocktaking" in call("POST", "subscribers/crm/test/").json()["held_because"]


def test_an_open_breaker_is_tried_and_closed_by_hand(call: Call) -> None:
    call("POST", "subscribers/", HOOK)
    refused = assert_problem(call("POST", "subscribers/crm/try-now/"), 409)
    assert "Nothing is held" in refused["detail"]
    refused = assert_problem(call("POST", "subscribers/crm/close-breaker/"), 409)
    assert "not open" in refused["detail"]

    call("POST", "subscribers/crm/test/")
    route_batch()
    in_an_hour = timezone.now() + timedelta(hours=1)
    Subscriber.objects.update(breaker=BreakerState.OPEN, probe_at=in_an_hour)
    assert (
        call("POST", "subscribers/crm/try-now/", {"reason": "fixed"}).json()["name"]
        == "crm"
    )
    row = Subscriber.objects.get()
    assert row.probe_at is not None
    assert row.probe_at < in_an_hour
    closed = call("POST", "subscribers/crm/close-breaker/").json()
    assert closed["breaker"] == BreakerState.DRAINING


def test_a_delivery_is_skipped_once(call: Call) -> None:
    call("POST", "subscribers/", HOOK)
    call("POST", "subscribers/crm/test/")
    route_batch()
    delivery = Delivery.objects.get()
    path = f"/api/deliveries/{delivery.pk}/skip/"

    skipped = call("POST", path, {"reason": "a broken order"}).json()

    assert skipped["delivery"] == delivery.pk
    assert FailedTask.objects.get(pk=skipped["failed_task"]).reason == "SKIPPED"
    problem = assert_problem(call("POST", path), 409)
    assert "given up already" in problem["detail"]


def test_every_change_is_in_the_audit_without_secrets(call: Call) -> None:
    secret = call(
        "POST", "subscribers/", {**HOOK, "headers": {"X-Token": "sesame"}}
    ).json()
    call("PATCH", "subscribers/crm/", {"headers": {"X-Token": "abracadabra"}})
    call("POST", "subscribers/crm/rotate-secret/")
    call("POST", "subscribers/crm/pause/")
    call("DELETE", "subscribers/crm/")

    lines = list(AuditEntry.objects.order_by("pk"))
    assert [line.action for line in lines] == [
        "subscriber.created",
        "subscriber.changed",
        "subscriber.secret_rotated",
        "subscriber.paused",
        "subscriber.deleted",
    ]
    assert {line.actor for line in lines} == {"key manager"}
    text = " ".join(line.detail for line in lines)
    for word in ("sesame", "abracadabra", secret["secret"]):
        assert word not in text
