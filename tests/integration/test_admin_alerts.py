"""A subscriber's alerts in the admin and over HTTP: rules, a test, what is open."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from router.models import Alert, AlertRule, AuditEntry, EventRecord, Subscriber
from router.operate.subscribers import create_subscriber
from tests.integration.api import Call
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
from tests.integration.staff import a_viewer, an_operator, messages_of

pytestmark = pytest.mark.usefixtures("empty_router")


@pytest.fixture
def mailer(db: None) -> Subscriber:
    """A handler, of which no form changes anything else."""
    return a_subscriber("mailer")


def page(name: str, row: Subscriber) -> str:
    return reverse(f"admin:router_subscriber_{name}", args=[row.pk])


def test_an_operator_sets_the_rules_of_any_subscriber(mailer: Subscriber) -> None:
    operator = an_operator()
    operator.post(
        page("alerts", mailer),
        {"backlog_age_seconds": "600", "open_failed_tasks": "0", "reason": "busy"},
    )
    mailer.refresh_from_db()
    assert mailer.alert_rules == {"backlog_age_seconds": 600, "open_failed_tasks": 0}
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason) == ("subscriber.alerts_set", "busy")
    assert entry.changes["alert_rules"] == [{}, mailer.alert_rules]
    shown = operator.get(page("change", mailer)).content.decode()
    assert 'name="backlog_age_seconds" value="600"' in shown
    # What the settings have where nothing is set here.
    assert 'placeholder="0.2"' in shown


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure_rate": "1.5"},
        {"open_failed_tasks": "-1"},
        {"backlog_age_seconds": "an hour"},
    ],
)
def test_a_wrong_limit_is_shown_at_its_field(
    mailer: Subscriber, wrong: dict[str, str]
) -> None:
    answer = an_operator().post(page("alerts", mailer), wrong)
    assert 'class="errorlist"' in answer.content.decode()
    mailer.refresh_from_db()
    assert mailer.alert_rules == {}


def test_the_button_publishes_a_test(mailer: Subscriber) -> None:
    answer = an_operator().post(page("test_alert", mailer), follow=True)
    event = EventRecord.objects.get()
    assert event.data["alert"]["is_test"] is True
    assert f"Test alert #{event.number} is on its way" in messages_of(answer)
    assert answer.redirect_chain[-1][0].endswith(f"/{event.number}/change/")


def test_a_viewer_sees_no_field_of_it(mailer: Subscriber) -> None:
    shown = a_viewer().get(page("change", mailer)).content.decode()
    assert 'name="failure_rate"' not in shown
    assert a_viewer("walter").post(page("test_alert", mailer)).status_code == 403


def an_alert(row: Subscriber, rule: AlertRule, **columns: Any) -> Alert:
    now = timezone.now()
    return Alert.objects.create(
        subscriber=row, rule=rule, since=now, opened_at=now, **columns
    )


def home(viewer: Client) -> str:
    return " ".join(viewer.get("/admin/").content.decode().split())


def test_the_dashboard_says_that_an_incident_is_announced(mailer: Subscriber) -> None:
    a_failed_task(a_delivery(an_event(), mailer, "DEAD"))
    Alert.objects.create(
        subscriber=mailer, rule=AlertRule.OPEN_FAILED_TASKS, since=timezone.now()
    )
    assert "Alert sent" not in home(a_viewer())
    Alert.objects.all().delete()
    an_alert(mailer, AlertRule.OPEN_FAILED_TASKS)
    shown = an_operator().get("/admin/").content.decode()
    assert shown.count("Alert sent") == 1


def test_failing_attempts_are_an_incident_while_their_alert_is_open(
    mailer: Subscriber,
) -> None:
    watched = an_alert(mailer, AlertRule.FAILURE_RATE, value=0.31, limit=0.2)
    Alert.objects.update(opened_at=None)
    viewer = a_viewer()
    assert "of its attempts failed" not in home(viewer)
    Alert.objects.update(opened_at=watched.since)
    assert "31 % of its attempts failed within ten minutes." in home(viewer)


def test_the_rules_are_fields_of_the_api(call: Call) -> None:
    create_subscriber("crm", by="test", transport="pull")
    nothing = {
        "backlog_age_seconds": None, "failure_rate": None, "open_failed_tasks": None,
    }  # fmt: skip
    shown = call("GET", "subscribers/crm/").json()
    assert shown["alert_rules"] == nothing
    assert shown["in_force"]["alert_rules"] == {
        "backlog_age_seconds": 3600, "failure_rate": 0.2, "open_failed_tasks": 1,
    }  # fmt: skip
    rules = {"failure_rate": 0.5, "open_failed_tasks": None}
    shown = call("PATCH", "subscribers/crm/", {"alert_rules": rules}).json()
    assert shown["alert_rules"] == {**nothing, "failure_rate": 0.5}
    assert shown["in_force"]["alert_rules"]["failure_rate"] == 0.5
    assert shown["in_force"]["alert_rules"]["open_failed_tasks"] == 1


@pytest.mark.parametrize(
    ("rules", "pointer"),
    [
        ({"failure_rate": 2}, "/alert_rules/failure_rate"),
        ({"open_failed_tasks": True}, "/alert_rules/open_failed_tasks"),
        ({"mood": 1}, "/alert_rules/mood"),
        ([], "/alert_rules"),
        (None, "/alert_rules"),
    ],
)
def test_a_wrong_rule_is_refused_at_its_place(
    call: Call, rules: Any, pointer: str
) -> None:
    create_subscriber("crm", by="test", transport="pull")
    answer = call("PATCH", "subscribers/crm/", {"alert_rules": rules})
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
