"""Why a subscriber did or did not get an event: a case for each verdict."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router import registry
from router.flow.cursor.reading import next_chunk
from router.flow.prune import Walk
from router.flow.route.routing import route_batch
from router.flow.route.window import Windows
from router.models import (
    Delivery,
    EventRecord,
    FailedTask,
    LogHead,
    Run,
    RunKind,
    Subscriber,
    Turn,
)
from router.observe.explain.case import Explanation, Verdict
from router.observe.explain.explaining import explain, explain_missing
from router.operate.declared import pause
from router.operate.failed_tasks import discard
from router.operate.run_request import RunRequest
from router.operate.runs import begin_run, cancel_run, pause_run
from router.operate.subscribers import delete_subscriber
from router.public import Event, Reject, publish
from router.testing import deliver_due, route
from tests.contract.steps import a_puller, take
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)

#: What a case returns: the event's number and the subscriber's name.
Arranged = tuple[int, str]
Arrange = Callable[[Declare, Any], Arranged]
#: Of one explanation, whatever it says and however much there is.
MAX_STATEMENTS = 9


def send(type: str = "thing.happened", **attributes: Any) -> int:
    data = attributes.pop("data", {})
    number = publish(type, data, source="/test", **attributes).number
    route()
    return number


def refuse(event: Event) -> None:
    raise ValueError("not this one")


def reject(event: Event) -> None:
    raise Reject("never this one")


def acknowledged_in_a_chunk(declare: Declare, settings: Any) -> Arranged:
    declare()
    number = send()
    deliver_due()
    return number, "listener"


def acknowledged_by_a_row(declare: Declare, settings: Any) -> Arranged:
    declare(is_transactional=False)
    number = send()
    deliver_due()
    return number, "listener"


def at_work_in_the_stream(declare: Declare, settings: Any) -> Arranged:
    row = declare().row
    number = send()
    assert next_chunk(row.pk)
    return number, "listener"


def at_work_by_a_puller(declare: Declare, settings: Any) -> Arranged:
    row = a_puller()
    number = send()
    assert take(row)
    return number, "erp"


def behind_others_in_the_stream(declare: Declare, settings: Any) -> Arranged:
    declare()
    send()
    send()
    return send(), "listener"


def due_after_others(declare: Declare, settings: Any) -> Arranged:
    declare(is_transactional=False)
    send()
    return send(), "listener"


def not_pulled(declare: Declare, settings: Any) -> Arranged:
    a_puller()
    return send(), "erp"


def retried_later(declare: Declare, settings: Any) -> Arranged:
    declare(behave=refuse)
    number = send()
    deliver_due()
    Delivery.objects.update(due_at=timezone.now() + timedelta(hours=1))
    return number, "listener"


def behind_its_key(declare: Declare, settings: Any) -> Arranged:
    a_puller(ordering="key")
    send(partitionkey="k")
    return send(partitionkey="k"), "erp"


def behind_a_dead_one_of_its_key(declare: Declare, settings: Any) -> Arranged:
    a_puller(ordering="key")
    send(partitionkey="k")
    Delivery.objects.update(state="DEAD")
    return send(partitionkey="k"), "erp"


def behind_a_breaker(declare: Declare, settings: Any) -> Arranged:
    row = declare(behave=refuse).row
    send()
    deliver_due()
    now = timezone.now()
    later = now + timedelta(minutes=2)
    Subscriber.objects.filter(pk=row.pk).update(
        breaker="open", incident_since=now, probe_at=later
    )
    return send(), "listener"


def asked_to_come_later(declare: Declare, settings: Any) -> Arranged:
    declare()
    later = timezone.now() + timedelta(hours=1)
    Subscriber.objects.update(not_before=later)
    return send(), "listener"


def paused(declare: Declare, settings: Any) -> Arranged:
    row = declare().row
    pause(row.pk, reason="tea", by="user olga")
    return send(), "listener"


def at_the_limit_in_the_stream(declare: Declare, settings: Any) -> Arranged:
    declare()
    number = send()
    Turn.objects.update(is_full=True)
    return number, "listener"


def at_the_limit_of_rows(declare: Declare, settings: Any) -> Arranged:
    settings.ROUTER = {**settings.ROUTER, "WINDOW": 1, "MAX_OPEN": 1}
    declare(is_transactional=False)
    for _ in range(3):
        number = publish("thing.happened", {}, source="/test").number
        windows = Windows()
        windows.turn()
        route_batch(fits=windows.fits)
    return number, "listener"


def without_code(declare: Declare, settings: Any) -> Arranged:
    declare()
    number = send()
    registry._declared.clear()
    return number, "listener"


def of_another_type(declare: Declare, settings: Any) -> Arranged:
    declare(events=["other.*", "more.happened"])
    number = send()
    # What is asked for later changes nothing.
    declare(events=["thing.happened"])
    return number, "listener"


def rejected_by_a_clause(declare: Declare, settings: Any) -> Arranged:
    clauses = [{"exact": {"source": "/test"}}, {"exact": {"data.city": "Graz"}}]
    declare(filter={"all": clauses})
    return send(data={"city": "Linz"}), "listener"


def beyond_its_limits(declare: Declare, settings: Any) -> Arranged:
    declare()
    Subscriber.objects.update(allowed_sources=["/elsewhere"])
    return send(), "listener"


def ahead_of_a_backfill(declare: Declare, settings: Any) -> Arranged:
    send()
    number = send()
    declare(start="beginning", is_transactional=False)
    return number, "listener"


def ahead_of_a_paused_backfill(declare: Declare, settings: Any) -> Arranged:
    arranged = ahead_of_a_backfill(declare, settings)
    pause_run(Run.objects.get().pk, by="user olga")
    return arranged


def ahead_of_a_cancelled_backfill(declare: Declare, settings: Any) -> Arranged:
    arranged = ahead_of_a_backfill(declare, settings)
    cancel_run(Run.objects.get().pk, by="user olga")
    return arranged


def for_another(declare: Declare, settings: Any) -> Arranged:
    other = declare("other").row
    declare()
    number = publish("thing.happened", {}, source="/test").number
    EventRecord.objects.update(only_for=other)
    route()
    return number, "listener"


def before_it_began(declare: Declare, settings: Any) -> Arranged:
    number = send()
    declare()
    return number, "listener"


def discarded(declare: Declare, settings: Any) -> Arranged:
    declare(behave=reject)
    number = send()
    deliver_due()
    discard([FailedTask.objects.get().pk], by="user olga", note="a test order")
    return number, "listener"


def of_a_deleted_subscriber(declare: Declare, settings: Any) -> Arranged:
    row = a_puller()
    number = send()
    delete_subscriber(row, by="user olga", reason="moved out")
    return number, "erp"


def above_the_cursor_of_a_deleted_subscriber(
    declare: Declare, settings: Any
) -> Arranged:
    row = declare().row
    number = send()
    Subscriber.objects.filter(pk=row.pk).update(deleted_at=timezone.now())
    return number, "listener"


def given_up(declare: Declare, settings: Any) -> Arranged:
    declare(behave=reject)
    number = send()
    deliver_due()
    return number, "listener"


def not_routed(declare: Declare, settings: Any) -> Arranged:
    declare()
    return publish("thing.happened", {}, source="/test").number, "listener"


def pruned(declare: Declare, settings: Any) -> Arranged:
    declare()
    number = send()
    deliver_due()
    EventRecord.objects.update(recorded_at=timezone.now() - timedelta(days=9))
    walk = Walk(5)
    while walk.step():
        pass
    assert LogHead.objects.get().pruned_number == number
    return number, "listener"


def of_a_filter_that_was_another(declare: Declare, settings: Any) -> Arranged:
    declare(is_transactional=False, events=["other.happened"])
    number = send()
    # As if code that matches were different now.
    Subscriber.objects.get().periods.update(events=["*"])
    return number, "listener"


#: Arrangement, verdict, words of the sentence, and a section of the evidence.
CASES: list[tuple[Arrange, Verdict, str, str]] = [
    (acknowledged_in_a_chunk, Verdict.ACKNOWLEDGED, "acknowledged it at", "chunk"),
    (acknowledged_by_a_row, Verdict.ACKNOWLEDGED, "at attempt 1", "attempt"),
    (at_work_in_the_stream, Verdict.WORKING, "works on it now", "lease"),
    (at_work_by_a_puller, Verdict.WORKING, "The consumer of", "delivery"),
    (
        behind_others_in_the_stream,
        Verdict.WAITING_FOR_TURN,
        "at position 0, and the event 3 further on",
        "turn",
    ),
    (due_after_others, Verdict.WAITING_FOR_TURN, "1 delivery came due earlier", "turn"),
    (not_pulled, Verdict.WAITING_FOR_TURN, "has not pulled it yet", "delivery"),
    (
        retried_later,
        Verdict.WAITING_FOR_TIME,
        "1 attempt did not acknowledge it: ValueError: not this one. The next",
        "attempt",
    ),
    (behind_its_key, Verdict.WAITING_FOR_KEY, "has the same ordering key", "blocker"),
    (
        behind_a_dead_one_of_its_key,
        Verdict.WAITING_FOR_KEY,
        "which the router gave up",
        "blocker",
    ),
    (
        behind_a_breaker,
        Verdict.WAITING_FOR_RECEIVER,
        "UTC: ValueError: not this one. The next try is at",
        "breaker",
    ),
    (
        asked_to_come_later,
        Verdict.WAITING_FOR_RECEIVER,
        "asked for nothing before",
        "receiver",
    ),
    (paused, Verdict.WAITING_FOR_OPERATOR, "tea (user olga). It gets", "pause"),
    (at_the_limit_in_the_stream, Verdict.WAITING_FOR_LIMIT, "10,000 open", "limit"),
    (at_the_limit_of_rows, Verdict.WAITING_FOR_LIMIT, "which is the limit", "limit"),
    (without_code, Verdict.WAITING_FOR_CODE, "is not installed here", "cursor"),
    (
        of_another_type,
        Verdict.FILTERED_BY_TYPE,
        "did not ask for thing.happened: at position 1 it asked for other.*, "
        "more.happened.",
        "period",
    ),
    (
        rejected_by_a_clause,
        Verdict.FILTERED_BY_CLAUSE,
        'rejects the event at /all/1/exact/data.city: data.city is not "Graz".',
        "clause",
    ),
    (beyond_its_limits, Verdict.FILTERED_BY_LIMITS, "sources /elsewhere", "limits"),
    (for_another, Verdict.FOR_ANOTHER_SUBSCRIBER, "another subscriber", "addressee"),
    (
        ahead_of_a_backfill,
        Verdict.WAITING_FOR_RUN,
        "waits for backfill 1 of Listener, which is at position 0, 2 before the event",
        "run",
    ),
    (ahead_of_a_paused_backfill, Verdict.WAITING_FOR_RUN, "which is paused: it", "run"),
    (
        ahead_of_a_cancelled_backfill,
        Verdict.CANCELLED,
        "was cancelled at",
        "run",
    ),
    (before_it_began, Verdict.BEFORE_SUBSCRIBER, "began after position 1", "beginning"),
    (
        discarded,
        Verdict.CANCELLED,
        "user olga discarded its failed task at",
        "failed_task",
    ),
    (
        of_a_deleted_subscriber,
        Verdict.CANCELLED,
        "was deleted by user olga at",
        "deletion",
    ),
    (
        above_the_cursor_of_a_deleted_subscriber,
        Verdict.CANCELLED,
        "it is owed nothing any more",
        "deletion",
    ),
    (
        given_up,
        Verdict.GIVEN_UP,
        "after 1 attempt: Reject: never this one. Retry or discard failed task",
        "failed_task",
    ),
    (not_routed, Verdict.NOT_ROUTED, "has no position yet", "event"),
    (pruned, Verdict.PRUNED, "were pruned", "log"),
    (of_a_filter_that_was_another, Verdict.UNKNOWN, "neither a delivery nor", "cursor"),
]


def explained(number: int, name: str) -> Explanation:
    subscriber = Subscriber.objects.get(name=name)
    event = EventRecord.objects.filter(pk=number).first()
    if event:
        return explain(event, subscriber)
    missing = explain_missing(number, subscriber)
    assert missing is not None
    return missing


@pytest.mark.parametrize(
    ("arrange", "verdict", "words", "section"),
    CASES,
    ids=[case[0].__name__ for case in CASES],
)
def test_each_verdict_has_its_sentence_and_evidence(
    declare: Declare,
    settings: Any,
    arrange: Arrange,
    verdict: Verdict,
    words: str,
    section: str,
) -> None:
    number, name = arrange(declare, settings)
    with CaptureQueriesContext(connection) as queries:
        found = explained(number, name)
    assert found.verdict == verdict, found
    assert words in found.sentence
    assert found.sentence.endswith(".")
    assert section in found.evidence
    # The two of the helper find the event and the subscriber.
    assert len(queries) - 2 <= MAX_STATEMENTS


def test_every_verdict_has_a_case() -> None:
    assert {case[1] for case in CASES} == set(Verdict)


def test_a_backfill_that_did_not_ask_for_it_gives_nothing(declare: Declare) -> None:
    number = send("other.happened")
    declare(start="beginning", is_transactional=False)
    verdict = explained(number, "listener").verdict
    assert verdict in (Verdict.BEFORE_SUBSCRIBER, Verdict.FILTERED_BY_TYPE)


def test_a_replay_stands_beside_what_became_of_the_event(declare: Declare) -> None:
    row = declare().row
    number = send()
    deliver_due()
    request = RunRequest(kind=RunKind.REPLAY)
    begin_run(row, request, by="user olga", is_confirmed=True)
    found = explained(number, "listener")
    assert found.verdict == Verdict.ACKNOWLEDGED
    assert found.evidence["replays"] == {"run_1": "active, at position 0 of 1"}
