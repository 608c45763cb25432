from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from router.conf import QUEUES
from router.flow.heartbeats import beat
from router.models import (
    Attempt,
    BreakerState,
    EventRecord,
    FailedTask,
    Heartbeat,
    Subscriber,
    SubscriberState,
    Transport,
)
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
from tests.integration.staff import a_viewer, an_operator, messages_of

pytestmark = pytest.mark.usefixtures("empty_router")

LIST = "/admin/router/subscriber/"


@pytest.fixture
def mail() -> Subscriber:
    return a_subscriber("mail", events=["purchase.*"])


def page_of(subscriber: Subscriber) -> str:
    return reverse("admin:router_subscriber_change", args=[subscriber.pk])


def button(subscriber: Subscriber, name: str) -> str:
    return reverse(f"admin:router_subscriber_{name}", args=[subscriber.pk])


def words(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def fresh(subscriber: Subscriber) -> Subscriber:
    return Subscriber.objects.get(pk=subscriber.pk)


def test_the_list_tells_how_each_is_doing(mail: Subscriber) -> None:
    hours_ago = timezone.now() - timedelta(hours=3, minutes=5)
    a_delivery(an_event(), mail, created_at=hours_ago)
    a_delivery(an_event(), mail, failures=2)
    a_delivery(an_event(), mail, "LEASED")
    a_failed_task(a_delivery(an_event(), mail, "DEAD"))

    page = a_viewer().get(LIST).content.decode()

    assert "2 held · 1 moving" in page
    assert "3 h ago" in page
    assert '<b class="fan-text-review">1</b>' in page


def test_more_subscribers_cost_no_more_statements(mail: Subscriber) -> None:
    viewer = a_viewer()

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            viewer.get(LIST)
        return len(queries)

    # A process that has shown no page yet looks up its content types first.
    statements()
    before = statements()
    for number in range(5):
        a_delivery(an_event(), a_subscriber(f"more_{number}"))

    assert statements() == before


def test_the_deleted_are_not_shown(mail: Subscriber) -> None:
    gone = a_subscriber("gone", deleted_at=timezone.now())
    operator = an_operator()

    assert "Gone" not in operator.get(LIST).content.decode()
    assert operator.get(page_of(gone)).status_code == 404
    assert operator.post(button(gone, "resume")).status_code == 404


def test_pausing_asks_why_and_holds(mail: Subscriber) -> None:
    operator = an_operator("olga")

    unasked = operator.post(button(mail, "pause"), {"reason": "  "})
    assert "Say why" in unasked.content.decode()
    assert fresh(mail).state == SubscriberState.ACTIVE

    answer = operator.post(button(mail, "pause"), {"reason": "moves"}, follow=True)

    assert "is paused" in messages_of(answer)
    assert fresh(mail).state == SubscriberState.PAUSED
    assert "moves" in answer.content.decode()
    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.object_id) == ("olga", str(mail.pk))


def test_pausing_twice_says_so_and_changes_nothing(mail: Subscriber) -> None:
    operator = an_operator()
    operator.post(button(mail, "pause"), {"reason": "first"})

    answer = operator.post(button(mail, "pause"), {"reason": "second"}, follow=True)

    assert "already paused" in messages_of(answer)
    assert "first" in fresh(mail).state_reason


def test_resuming_lets_go_and_says_when_there_was_nothing(mail: Subscriber) -> None:
    operator = an_operator()
    operator.post(button(mail, "pause"), {"reason": "moves"})

    first = operator.post(button(mail, "resume"), follow=True)
    second = operator.post(button(mail, "resume"), follow=True)

    assert "is resumed" in messages_of(first)
    assert "already active" in messages_of(second)
    assert fresh(mail).state == SubscriberState.ACTIVE


def test_a_test_event_is_owed_to_this_subscriber_alone(mail: Subscriber) -> None:
    answer = an_operator().post(button(mail, "test"), follow=True)

    event = EventRecord.objects.get()
    assert event.only_for == mail
    assert f"Test event #{event.number}" in messages_of(answer)
    assert answer.redirect_chain[-1][0].endswith(f"/eventrecord/{event.number}/change/")


def test_an_open_breaker_says_why_and_is_tried_and_closed(mail: Subscriber) -> None:
    waiting = a_delivery(an_event(), mail, last_failed_at=timezone.now())
    Attempt.objects.create(
        delivery=waiting,
        number=1,
        result="UNCOUNTED",
        error="HttpStatus: 503",
        ended_at=timezone.now(),
    )
    in_an_hour = timezone.now() + timedelta(hours=1)
    Subscriber.objects.update(
        breaker=BreakerState.OPEN, probe_at=in_an_hour, incident_since=timezone.now()
    )
    operator = an_operator()
    page = words(operator.get(page_of(mail)))
    assert "HttpStatus: 503" in page
    assert "1 event held" in page
    assert button(mail, "try_now") in page

    tried = operator.post(button(mail, "try_now"), {"reason": "fixed"}, follow=True)
    assert "tried now" in messages_of(tried)
    assert fresh(mail).probe_at != in_an_hour

    waits = operator.post(button(mail, "test"), follow=True)
    assert "waits. Its breaker is open" in messages_of(waits)

    closed = operator.post(button(mail, "close_breaker"), follow=True)
    assert "The breaker is closed" in messages_of(closed)
    assert fresh(mail).breaker == BreakerState.DRAINING
    second = operator.post(button(mail, "close_breaker"), follow=True)
    assert "Nothing was changed" in messages_of(second)


def test_a_waiting_delivery_is_skipped_from_its_page(mail: Subscriber) -> None:
    waiting = a_delivery(an_event(), mail)
    page = reverse("admin:router_delivery_change", args=[waiting.pk])
    skips = reverse("admin:router_delivery_skip", args=[waiting.pk])
    operator = an_operator()
    assert skips in operator.get(page).content.decode()

    answer = operator.post(skips, {"reason": "a broken order"}, follow=True)

    assert "is skipped" in messages_of(answer)
    assert FailedTask.objects.get().reason == "SKIPPED"
    second = operator.post(skips, follow=True)
    assert "given up already" in messages_of(second)


def test_the_schedule_is_saved_and_empty_means_the_declared_one(
    mail: Subscriber,
) -> None:
    operator = an_operator()
    given = {
        "retry_first_seconds": 5,
        "retry_maximum_seconds": 60,
        "max_failures": 3,
    }

    answer = operator.post(button(mail, "schedule"), given, follow=True)
    page = words(answer)
    assert "from 5 s to 1 min; gives up after 3 failures" in page

    operator.post(button(mail, "schedule"), dict.fromkeys(given, ""))
    left = fresh(mail)
    assert {getattr(left, name) for name in given} == {None}


@pytest.mark.parametrize(
    "given",
    [
        {"retry_first_seconds": 0},
        {"retry_first_seconds": "soon"},
        {"max_failures": 101},
        {"retry_maximum_seconds": 86_401},
        # longer than the declaration's longest wait of 600 s
        {"retry_first_seconds": 601},
    ],
)
def test_an_impossible_schedule_is_refused_and_not_saved(
    mail: Subscriber, given: dict[str, Any]
) -> None:
    answer = an_operator().post(button(mail, "schedule"), given)

    assert "errorlist" in answer.content.decode()
    assert fresh(mail).retry_first_seconds is None
    assert fresh(mail).max_failures is None


def test_the_pace_is_saved_and_the_queue_is_shown_with_its_reason(
    mail: Subscriber,
) -> None:
    Subscriber.objects.update(mean_run_ms=2000, queue="default")
    operator = an_operator()
    assert "handler, default queue<" in words(operator.get(page_of(mail)))
    beat("a worker", Heartbeat.Kind.WORKER, queues=[QUEUES["slow"]])
    assert "slow queue, since its runs are long" in words(operator.get(page_of(mail)))
    given = {"fixed_queue": "default", "rate_per_second": 2.5, "in_flight_limit": 4}

    answer = operator.post(button(mail, "pace"), given, follow=True)

    assert "default queue, as set here" in words(answer)
    row = fresh(mail)
    assert {name: getattr(row, name) for name in given} == given

    operator.post(button(mail, "pace"), dict.fromkeys(given, ""))
    left = fresh(mail)
    assert (left.fixed_queue, left.rate_per_second, left.in_flight_limit) == (
        "",
        None,
        None,
    )


@pytest.mark.parametrize(
    "given",
    [{"fixed_queue": "fast"}, {"rate_per_second": 0}, {"in_flight_limit": 1001}],
)
def test_an_impossible_pace_is_refused_and_not_saved(
    mail: Subscriber, given: dict[str, Any]
) -> None:
    answer = an_operator().post(button(mail, "pace"), given)

    assert "errorlist" in answer.content.decode()
    row = fresh(mail)
    assert (row.fixed_queue, row.rate_per_second, row.in_flight_limit) == (
        "",
        None,
        None,
    )


def test_a_subscriber_that_pulls_misses_no_handler() -> None:
    puller = a_subscriber("erp", transport=Transport.PULL)
    page = a_viewer().get(page_of(puller)).content.decode()
    assert "Pulls" in page
    assert "No installed code" not in page
    assert "default queue" not in page
    assert "exactly once" not in page
