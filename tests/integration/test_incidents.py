"""What is wrong, in words, the worst first: on the dashboard, in `status`, and on the
page of a subscriber."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from router.flow.causes import group_by_cause
from router.models import (
    Attempt,
    BreakerState,
    Delivery,
    Heartbeat,
    LogHead,
    Subscriber,
    SubscriberState,
    Transport,
)
from router.observe.incidents import Incident, IncidentKind, incidents
from router.observe.situation import Situation
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
from tests.integration.staff import a_viewer, an_operator

pytestmark = pytest.mark.usefixtures("empty_router", "alive")

HOME = "/admin/"


@pytest.fixture(autouse=True)
def head(db: None) -> None:
    LogHead.objects.update_or_create(pk=1, defaults={"position": 1})


def wrong() -> list[Incident]:
    return incidents(Situation.read())


def kinds() -> list[IncidentKind]:
    return [each.kind for each in wrong()]


def a_webhook(name: str, **fields: Any) -> Subscriber:
    url = "https://receiver.example/"
    return a_subscriber(name, transport=Transport.WEBHOOK, url=url, **fields)


def an_unreachable(name: str = "erp") -> Subscriber:
    """It answered 503 to an event that waits, and is tried again in ten seconds."""
    now = timezone.now()
    row = a_webhook(
        name,
        breaker=BreakerState.OPEN,
        incident_since=now.replace(hour=0, minute=0),
        probe_at=now + timedelta(seconds=10.5),
    )
    fails(a_delivery(an_event(), row, last_failed_at=now, attempts=1))
    return row


def fails(delivery: Delivery, answer: str = "overloaded\nfor long") -> None:
    Attempt.objects.create(
        delivery=delivery,
        number=1,
        result="UNCOUNTED",
        error="HttpStatus: 503",
        http_status=503,
        answer=answer,
        ended_at=timezone.now(),
    )


def test_nothing_is_wrong_with_a_router_that_works() -> None:
    a_delivery(an_event(), a_webhook("erp"))
    assert wrong() == []
    assert "Nothing is wrong. 1 subscriber gets what it is owed." in words_of_home()


def test_what_will_be_retried_is_named_where_nothing_else_is_wrong() -> None:
    now = timezone.now()
    a_delivery(an_event(), a_webhook("erp"), failures=1, last_failed_at=now, attempts=1)
    assert wrong() == []
    assert ">1 event failed and will be retried</a>." in words_of_home()


def words_of_home() -> str:
    return " ".join(a_viewer().get(HOME).content.decode().split())


def test_an_outage_is_shown_in_the_receivers_words_with_numbers() -> None:
    erp = an_unreachable()
    a_delivery(an_event(), erp)
    (incident,) = wrong()
    assert (incident.kind, incident.title) == (IncidentKind.UNREACHABLE, "Erp")
    assert incident.text in {
        "unreachable since 00:00 UTC: HTTP 503: overloaded. 2 events held. Next try in "
        f"{seconds} s."
        for seconds in (9, 10)
    }


def test_a_handler_fails_in_its_own_words_without_its_module() -> None:
    old = timezone.now() - timedelta(hours=2)
    erp = a_webhook("erp")
    retried = a_delivery(
        an_event(), erp, created_at=old, failures=1, last_failed_at=old, attempts=1
    )
    fails(retried)
    Attempt.objects.update(http_status=None, error="shop.tax.UnknownZone: no zone 7\nx")
    (incident,) = wrong()
    assert incident.kind == IncidentKind.OLD_BACKLOG
    assert incident.text == (
        "1 event owed, the oldest for 2 h. 1 event failed and will be retried: "
        "UnknownZone: no zone 7."
    )


def test_the_worst_comes_first_and_each_kind_is_shown() -> None:
    a_webhook("rests", state=SubscriberState.PAUSED, state_reason="moves")
    a_webhook("back", breaker=BreakerState.DRAINING)
    a_webhook("asks", not_before=timezone.now() + timedelta(hours=1))
    a_webhook("gone", state=SubscriberState.DISABLED, state_reason="HTTP 410")
    an_unreachable("few")
    many = an_unreachable("many")
    a_delivery(an_event(), many)
    a_subscriber("without_code")
    a_failed_task(a_delivery(an_event(), a_webhook("refuses"), "DEAD"))
    an_event(is_routed=False, recorded_at=timezone.now() - timedelta(minutes=5))
    Heartbeat.objects.filter(kind=Heartbeat.Kind.WORKER).delete()
    shown = [(each.kind, each.title) for each in wrong()]
    assert shown == [
        (IncidentKind.PROCESS, "Workers"),
        (IncidentKind.HANDLER_MISSING, "Without code"),
        (IncidentKind.UNREACHABLE, "Many"),
        (IncidentKind.UNREACHABLE, "Few"),
        (IncidentKind.DISABLED, "Gone"),
        (IncidentKind.UNROUTED, "Events without a position"),
        (IncidentKind.FAILED_TASKS, "Refuses"),
        (IncidentKind.ASKED_TO_WAIT, "Asks"),
        (IncidentKind.PAUSED, "Rests"),
        (IncidentKind.DRAINING, "Back"),
    ]


def test_a_failed_task_is_drawn_as_work_and_not_as_an_outage() -> None:
    an_unreachable("down")
    a_failed_task(a_delivery(an_event(), a_webhook("refuses"), "DEAD"))
    flow = a_viewer().get(HOME).context["flow"]
    drawn = {each.title: (each.tone, each.text) for each in flow.places}
    assert drawn["Refuses"] == ("review", "0/s · 1 failed task")
    assert drawn["Down"] == ("attention", "0/s · 1 held")
    assert list(drawn) == ["Down", "Refuses"]


def test_a_dispatcher_that_stopped_leaves_the_broker_unknown() -> None:
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(minutes=5))
    shown = [(each.title, each.text) for each in wrong()]
    assert shown == [
        (
            "Dispatcher",
            "none runs. Start `manage.py dispatch`. Last heartbeat 5 min ago.",
        ),
        (
            "Workers",
            "none runs. Start `celery -A <project> worker`. Last heartbeat 5 min ago.",
        ),
    ]


def test_failed_tasks_are_shown_with_the_last_answer() -> None:
    dead = a_delivery(an_event(), a_webhook("erp"), "DEAD", attempts=1)
    fails(dead, "unknown currency XXX in line 3")
    a_failed_task(dead)
    (incident,) = wrong()
    assert incident.text == (
        "1 failed task needs attention: HTTP 503: unknown currency XXX in line 3."
    )


def test_failed_tasks_of_one_cause_lead_to_its_page() -> None:
    erp = a_webhook("erp")
    for error in ("builtins.KeyError: 'sku'", "builtins.KeyError: 'sku'"):
        a_failed_task(a_delivery(an_event(), erp, "DEAD"), error=error)
    group_by_cause()
    (incident,) = wrong()
    assert incident.cause_id
    page = reverse("admin:router_failedtaskgroup_change", args=[incident.cause_id])
    assert f'class="fan-button" href="{page}"' in a_viewer().get(HOME).content.decode()
    a_failed_task(a_delivery(an_event(), erp, "DEAD"), error="builtins.OSError: full")
    group_by_cause()
    assert [each.cause_id for each in wrong()] == [None]


def test_the_statements_do_not_grow_with_what_is_wrong() -> None:
    def statements() -> int:
        an_unreachable(f"down-{Subscriber.objects.count()}")
        with CaptureQueriesContext(connection) as queries:
            wrong()
        return len(queries)

    assert statements() == statements() == 12


def test_an_operator_tries_from_the_strip_and_a_viewer_reads_who_may() -> None:
    erp = an_unreachable()
    try_now = reverse("admin:router_subscriber_try_now", args=[erp.pk])
    page = reverse("admin:router_subscriber_change", args=[erp.pk])
    assert f'action="{try_now}"' in an_operator().get(HOME).content.decode()
    seen = a_viewer().get(HOME).content.decode()
    assert 'aria-label="Try Erp now. Needs the role Operator"' in seen
    assert f'<a href="{page}">Erp</a>' in seen


def test_status_tells_the_same_in_80_columns() -> None:
    an_unreachable()
    out = StringIO()
    call_command("status", stdout=out)
    printed = out.getvalue()
    assert "Erp: unreachable since 00:00 UTC: HTTP 503: overloaded." in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert printed.index("Erp: unreachable") < printed.index("database")
