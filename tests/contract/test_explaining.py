"""Why a subscriber did or did not get an event: a case for each verdict."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from router.models import EventRecord, RunKind, Subscriber
from router.observe.explain.case import Explanation, Verdict
from router.observe.explain.explaining import explain, explain_missing
from router.operate.run_request import RunRequest
from router.operate.runs import begin_run
from router.testing import deliver_due
from tests.contract import arrangements as cases
from tests.contract.arrangements import Arrange
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)

#: Of one explanation, whatever it says and however much there is.
MAX_STATEMENTS = 9

#: Arrangement, verdict, words of the sentence, and a section of the evidence.
CASES: list[tuple[Arrange, Verdict, str, str]] = [
    (
        cases.acknowledged_in_a_chunk,
        Verdict.ACKNOWLEDGED,
        "acknowledged it at",
        "chunk",
    ),
    (cases.acknowledged_by_a_row, Verdict.ACKNOWLEDGED, "at attempt 1", "attempt"),
    (cases.at_work_in_the_stream, Verdict.WORKING, "works on it now", "lease"),
    (cases.at_work_by_a_puller, Verdict.WORKING, "The consumer of", "delivery"),
    (
        cases.behind_others_in_the_stream,
        Verdict.WAITING_FOR_TURN,
        "at position 0, and the event 3 further on",
        "turn",
    ),
    (
        cases.due_after_others,
        Verdict.WAITING_FOR_TURN,
        "1 delivery came due earlier",
        "turn",
    ),
    (cases.not_pulled, Verdict.WAITING_FOR_TURN, "has not pulled it yet", "delivery"),
    (
        cases.retried_later,
        Verdict.WAITING_FOR_TIME,
        "1 attempt did not acknowledge it: ValueError: not this one. The next",
        "attempt",
    ),
    (
        cases.behind_its_key,
        Verdict.WAITING_FOR_KEY,
        "has the same ordering key",
        "blocker",
    ),
    (
        cases.behind_a_dead_one_of_its_key,
        Verdict.WAITING_FOR_KEY,
        "which the router gave up",
        "blocker",
    ),
    (
        cases.behind_a_breaker,
        Verdict.WAITING_FOR_RECEIVER,
        "UTC: ValueError: not this one. The next try is at",
        "breaker",
    ),
    (
        cases.asked_to_come_later,
        Verdict.WAITING_FOR_RECEIVER,
        "asked for nothing before",
        "receiver",
    ),
    (cases.paused, Verdict.WAITING_FOR_OPERATOR, "tea (user olga). It gets", "pause"),
    (
        cases.at_the_limit_in_the_stream,
        Verdict.WAITING_FOR_LIMIT,
        "10,000 open",
        "limit",
    ),
    (
        cases.at_the_limit_of_rows,
        Verdict.WAITING_FOR_LIMIT,
        "which is the limit",
        "limit",
    ),
    (cases.without_code, Verdict.WAITING_FOR_CODE, "is not installed here", "cursor"),
    (
        cases.of_another_type,
        Verdict.FILTERED_BY_TYPE,
        "did not ask for thing.happened: at position 1 it asked for other.*, "
        "more.happened.",
        "period",
    ),
    (
        cases.rejected_by_a_clause,
        Verdict.FILTERED_BY_CLAUSE,
        'rejects the event at /all/1/exact/data.city: data.city is not "Graz".',
        "clause",
    ),
    (
        cases.beyond_its_limits,
        Verdict.FILTERED_BY_LIMITS,
        "sources /elsewhere",
        "limits",
    ),
    (
        cases.for_another,
        Verdict.FOR_ANOTHER_SUBSCRIBER,
        "another subscriber",
        "addressee",
    ),
    (
        cases.ahead_of_a_backfill,
        Verdict.WAITING_FOR_RUN,
        "waits for backfill 1 of Listener, which is at position 0, 2 before the event",
        "run",
    ),
    (
        cases.ahead_of_a_paused_backfill,
        Verdict.WAITING_FOR_RUN,
        "which is paused: it",
        "run",
    ),
    (
        cases.ahead_of_a_cancelled_backfill,
        Verdict.CANCELLED,
        "was cancelled at",
        "run",
    ),
    (
        cases.before_it_began,
        Verdict.BEFORE_SUBSCRIBER,
        "began after position 1",
        "beginning",
    ),
    (
        cases.discarded,
        Verdict.CANCELLED,
        "user olga discarded its failed task at",
        "failed_task",
    ),
    (
        cases.of_a_deleted_subscriber,
        Verdict.CANCELLED,
        "was deleted by user olga at",
        "deletion",
    ),
    (
        cases.above_the_cursor_of_a_deleted_subscriber,
        Verdict.CANCELLED,
        "it is owed nothing any more",
        "deletion",
    ),
    (
        cases.given_up,
        Verdict.GIVEN_UP,
        "after 1 attempt: Reject: never this one. Retry or discard failed task",
        "failed_task",
    ),
    (cases.not_routed, Verdict.NOT_ROUTED, "has no position yet", "event"),
    (cases.pruned, Verdict.PRUNED, "were pruned", "log"),
    (
        cases.of_a_filter_that_was_another,
        Verdict.UNKNOWN,
        "neither a delivery nor",
        "cursor",
    ),
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
    number = cases.send("other.happened")
    declare(start="beginning", is_transactional=False)
    verdict = explained(number, "listener").verdict
    assert verdict in (Verdict.BEFORE_SUBSCRIBER, Verdict.FILTERED_BY_TYPE)


def test_a_replay_stands_beside_what_became_of_the_event(declare: Declare) -> None:
    row = declare().row
    number = cases.send()
    deliver_due()
    request = RunRequest(kind=RunKind.REPLAY)
    begin_run(row, request, by="user olga", is_confirmed=True)
    found = explained(number, "listener")
    assert found.verdict == Verdict.ACKNOWLEDGED
    assert found.evidence["replays"] == {"run_1": "active, at position 0 of 1"}
