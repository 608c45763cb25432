"""Failed tasks by their cause: in the database, the admin and the API."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router.flow.causes import delete_unused_causes, group_by_cause
from router.models import (
    AttemptResult,
    FailedTask,
    FailedTaskGroup,
    Subscriber,
)
from router.observe.causes import open_causes
from tests.integration.api import Get, assert_problem
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
from tests.integration.staff import a_viewer, an_operator

pytestmark = pytest.mark.usefixtures("empty_router")

LIST = "/admin/router/failedtaskgroup/"
#: 10,000 failed tasks of one subscriber, of three causes, all in one state.
FILL = """
    INSERT INTO router_failedtask (
        delivery_id, event_id, subscriber_id, reason, error, traceback, attempts, state,
        opened_at, settled_by_name, settled_note)
    SELECT d.id, d.event_id, d.subscriber_id, 'EXHAUSTED',
        (ARRAY['E: order ' || d.id || ' is unknown', 'E: no paper', 'E: no ink'])[
            1 + d.id %% 3], '', 8, %s, now(), '', ''
    FROM router_delivery AS d"""
FILL_EVENTS = """
    INSERT INTO router_eventrecord (
        position, event_id, source, type, subject, time, dataschema, partitionkey,
        traceparent, extensions, data, digest, size_bytes, causation_depth)
    SELECT n, n::text, '/old', 'thing.happened', '', now(), '', '', '', '{}', '{}', '',
        2, 0 FROM generate_series(1, 10000) AS n"""
FILL_DELIVERIES = """
    INSERT INTO router_delivery (
        event_id, subscriber_id, run, origin, ordering_key, state, due_at, created_at,
        dispatch_count, attempts, failures, vanished, is_manual)
    SELECT number, %s, 0, 'live', '', 'DEAD', now(), now(), 0, 8, 8, 0, false
    FROM router_eventrecord"""


@pytest.fixture
def mail() -> Subscriber:
    return a_subscriber("mail")


def a_task(subscriber: Subscriber, error: str, **fields: object) -> FailedTask:
    delivery = a_delivery(an_event(), subscriber, "DEAD", attempts=8, failures=8)
    return a_failed_task(delivery, error=error, **fields)


def answered(subscriber: Subscriber, status: int, answer: str) -> FailedTask:
    task = a_task(subscriber, "HttpStatus: the receiver answered")
    task.delivery.attempt_log.create(
        number=8,
        result=AttemptResult.DEAD,
        http_status=status,
        answer=answer,
        ended_at=task.opened_at,
    )
    return task


def causes() -> list[tuple[str, int]]:
    return [(cause.words, cause.open_count) for cause in open_causes()]


def test_failed_tasks_of_one_cause_are_one_group(mail: Subscriber) -> None:
    for number in range(3):
        a_task(mail, f"KeyError: order {number}")
    a_task(mail, "ValueError: no paper")
    a_task(a_subscriber("stock"), "ValueError: no paper")

    assert group_by_cause() == 5
    assert group_by_cause() == 0
    assert causes() == [
        ("KeyError: order 2", 3),
        ("ValueError: no paper", 1),
        ("ValueError: no paper", 1),
    ]


def test_of_webhooks_the_status_and_the_first_line_of_the_answer_count(
    mail: Subscriber,
) -> None:
    answered(mail, 422, "unknown currency XXX in line 3\n<html>")
    answered(mail, 422, "unknown currency XXX in line 7\n<body>")
    answered(mail, 500, "unknown currency XXX in line 7")

    group_by_cause()

    assert causes() == [
        ("HTTP 422: unknown currency XXX in line 7", 2),
        ("HTTP 500: unknown currency XXX in line 7", 1),
    ]


def test_a_later_failure_of_the_cause_joins_its_group(mail: Subscriber) -> None:
    first = a_task(mail, "KeyError: order 1")
    group_by_cause()
    second = a_task(mail, "KeyError: order 2")
    group_by_cause()
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.group == second.group is not None


def test_what_was_settled_is_not_counted(mail: Subscriber) -> None:
    a_task(mail, "KeyError: order 1", state="discarded")
    open_task = a_task(mail, "KeyError: order 2")
    group_by_cause()
    assert causes() == [("KeyError: order 2", 1)]
    FailedTask.objects.filter(pk=open_task.pk).update(state="retried")
    assert causes() == []


def test_the_trend_has_the_last_hours(mail: Subscriber) -> None:
    now = timezone.now()
    for hours in (0, 0, 1, 23, 30):
        a_task(mail, "E: same", opened_at=now - timedelta(hours=hours))
    group_by_cause()
    (cause,) = open_causes()
    assert len(cause.trend) == 24
    assert (cause.trend[-1], cause.trend[-2], cause.trend[0]) == (2, 1, 1)
    assert (cause.open_count, sum(cause.trend)) == (5, 4)


def test_a_cause_goes_with_its_last_failed_task(mail: Subscriber) -> None:
    pruned, kept = a_task(mail, "E: one"), a_task(mail, "E: two", state="open")
    group_by_cause()
    FailedTask.objects.filter(pk=kept.pk).update(state="discarded")
    assert delete_unused_causes() == 0
    pruned.delete()
    assert delete_unused_causes() == 1
    kept.refresh_from_db()
    assert list(FailedTaskGroup.objects.all()) == [kept.group]


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_ten_thousand_of_three_causes_are_three_groups_by_an_index(
    mail: Subscriber,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FILL_EVENTS)
        cursor.execute(FILL_DELIVERIES, [mail.pk])
        for state in ("open", "retried", "retried", "discarded", "discarded"):
            cursor.execute(FILL, [state])
        while group_by_cause():
            pass
        cursor.execute("ANALYZE")

    with CaptureQueriesContext(connection) as captured:
        found = open_causes()

    assert sorted(cause.open_count for cause in found) == [3333, 3333, 3334]
    assert len(captured) == 5
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {captured[0]['sql']}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "using failed_task_" in plan, plan


def test_the_page_lists_causes_and_one_cause_lists_its_tasks(mail: Subscriber) -> None:
    tasks = [a_task(mail, f"KeyError: order {number}") for number in range(3)]
    a_task(mail, "ValueError: <b>no paper</b>")
    group_by_cause()
    operator = an_operator()

    page = operator.get(LIST)
    assert [cause.open_count for cause, _ in page.context["causes"]] == [3, 1]
    assert "<b>no paper" not in page.content.decode()
    address = f"{LIST}{FailedTaskGroup.objects.earliest('pk').pk}/change/"
    assert address in page.content.decode()
    shown = operator.get(address)
    assert [task.pk for task in shown.context["tasks"]] == [
        task.pk for task in reversed(tasks)
    ]
    listed = operator.get(
        "/admin/router/failedtask/", {"cause": shown.context["group"].pk}
    )
    assert len(listed.context["cl"].result_list) == 3


def test_a_cause_with_one_failed_task_leads_to_its_payload(mail: Subscriber) -> None:
    task = a_task(mail, "E: no paper")
    group_by_cause()
    edit = f"/admin/router/failedtask/{task.pk}/edit/"
    address = f"{LIST}{FailedTaskGroup.objects.get().pk}/change/"
    operator = an_operator()
    assert edit in operator.get(address).content.decode()

    a_task(mail, "E: no paper")
    group_by_cause()
    assert "/edit/" not in operator.get(address).content.decode()


def test_the_page_has_the_causes_of_one_subscriber(mail: Subscriber) -> None:
    stock = a_subscriber("stock")
    a_task(mail, "E: one")
    a_task(stock, "E: two")
    group_by_cause()
    page = a_viewer().get(LIST, {"subscriber": stock.pk})
    assert [cause.words for cause, _ in page.context["causes"]] == ["E: two"]
    empty = a_viewer("vito").get(LIST, {"subscriber": "no number"})
    assert len(empty.context["causes"]) == 2


def test_the_api_lists_causes(get: Get, mail: Subscriber) -> None:
    task = a_task(mail, "KeyError: order 7")
    a_task(a_subscriber("stock"), "E: two")
    group_by_cause()

    (cause,) = get("failed-tasks/groups/", subscriber="mail").json()["results"]

    assert cause.pop("first_at") == cause.pop("last_at")
    assert sum(cause.pop("opened_by_hour")) == 1
    assert cause == {
        "id": FailedTask.objects.get(pk=task.pk).group_id,
        "subscriber": "mail",
        "error": "KeyError: order 7",
        "open_count": 1,
        "sample": task.pk,
        "notes": "",
        "assignee": "",
        "retry": None,
    }
    assert len(get("failed-tasks/groups/").json()["results"]) == 2
    assert_problem(get("failed-tasks/groups/", sate="open"), 400)
