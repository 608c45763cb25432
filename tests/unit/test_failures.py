"""Whose failure is it: each sentence of the rule by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from router.contract.failures import Past, Receiver, Verdict, judge
from router.contract.outcomes import Evidence, FailureKind, Retry
from router.contract.retry import RetrySchedule

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SCHEDULE = RetrySchedule(max_failures=3)
REFUSED = Retry(Evidence("422"))
TROUBLED = replace(REFUSED, kind=FailureKind.TROUBLED)
SILENT = replace(REFUSED, kind=FailureKind.SILENT)
TOO_LONG = replace(TROUBLED, is_time_limit=True)
ASKED = replace(TROUBLED, after_seconds=60, is_asked=True)

NEW = Past()
FAILED = Past(
    failures=1,
    first_failed_at=NOW - timedelta(minutes=1),
    last_failed_at=NOW - timedelta(minutes=1),
)
WITNESSED = replace(FAILED, is_witnessed=True)
LAST = replace(FAILED, failures=2)
LAST_WITNESSED = replace(WITNESSED, failures=2)
OLD = replace(LAST, first_failed_at=NOW - timedelta(hours=76))

UNKNOWN = Receiver()


def acknowledged(*, began: float, ended: float) -> Receiver:
    """Another delivery, so many seconds after the event's previous failure."""
    failed_at = NOW - timedelta(minutes=1)
    return Receiver(
        success_began_at=failed_at + timedelta(seconds=began),
        success_ended_at=failed_at + timedelta(seconds=ended),
    )


WELL = acknowledged(began=10, ended=11)
OPEN = replace(UNKNOWN, is_in_doubt=True)


def verdict(failure: Retry, past: Past, receiver: Receiver) -> Verdict:
    return judge(failure, past, receiver, now=NOW, schedule=SCHEDULE)


@pytest.mark.parametrize(
    ("failure", "past", "receiver", "counts"),
    [
        # Closed: the first failure counts, whatever it is.
        (SILENT, NEW, UNKNOWN, True),
        (SILENT, FAILED, UNKNOWN, False),
        (TROUBLED, FAILED, UNKNOWN, False),
        # Closed: a refusal and a time limit always count.
        (REFUSED, FAILED, UNKNOWN, True),
        (TOO_LONG, FAILED, UNKNOWN, True),
        # Known to fail while others succeed.
        (TROUBLED, WITNESSED, UNKNOWN, True),
        (SILENT, WITNESSED, UNKNOWN, False),
        # A witness counts everything, open or closed.
        (SILENT, FAILED, WELL, True),
        (SILENT, FAILED, replace(WELL, is_in_doubt=True), True),
        # Open, without a witness: nothing counts.
        (REFUSED, NEW, OPEN, False),
        (REFUSED, WITNESSED, OPEN, False),
        (TROUBLED, WITNESSED, OPEN, False),
        # The receiver asked for time.
        (ASKED, FAILED, WELL, False),
        (ASKED, OLD, WELL, True),
    ],
)
def test_a_failure_counts_against_the_event_for_a_reason_only(
    failure: Retry, past: Past, receiver: Receiver, counts: bool
) -> None:
    assert verdict(failure, past, receiver).counts is counts


@pytest.mark.parametrize(
    ("began", "ended", "is_in_doubt", "is_witness"),
    [
        (1, 2, False, True),
        (1, 2, True, True),
        # Both were under way at once.
        (-1, 1, False, True),
        (-1, 1, True, False),
        # Begun long before: when an outage begins, such work still ends well.
        (-3, 1, False, False),
        # Acknowledged before the event failed.
        (-1, -0.5, False, False),
    ],
)
def test_a_witness_was_acknowledged_after_the_previous_failure(
    began: float, ended: float, is_in_doubt: bool, is_witness: bool
) -> None:
    receiver = replace(acknowledged(began=began, ended=ended), is_in_doubt=is_in_doubt)

    assert verdict(TROUBLED, FAILED, receiver).is_witnessed is is_witness


@pytest.mark.parametrize(
    ("failure", "past", "receiver", "is_final"),
    [
        (REFUSED, LAST, UNKNOWN, True),
        (TOO_LONG, LAST, UNKNOWN, True),
        (TROUBLED, LAST_WITNESSED, UNKNOWN, True),
        (TROUBLED, LAST, WELL, True),
        (SILENT, LAST, WELL, True),
        (TROUBLED, LAST, UNKNOWN, False),
        (SILENT, LAST_WITNESSED, UNKNOWN, False),
        # Not the last one.
        (TROUBLED, FAILED, WELL, False),
        # Perhaps it refuses all.
        (REFUSED, LAST, replace(UNKNOWN, is_failing=True), False),
        (REFUSED, LAST, replace(WELL, is_failing=True), True),
        (REFUSED, LAST, OPEN, False),
        # Patience is over, and another was acknowledged since the first failure.
        (SILENT, OLD, UNKNOWN, False),
        (SILENT, OLD, acknowledged(began=-3600, ended=-3599), True),
        (ASKED, LAST, WELL, False),
    ],
)
def test_the_failure_that_gives_an_event_up_needs_proof(
    failure: Retry, past: Past, receiver: Receiver, is_final: bool
) -> None:
    assert verdict(failure, past, receiver).is_final is is_final


def test_the_first_failure_of_an_event_with_one_try_needs_proof_too() -> None:
    once = RetrySchedule(max_failures=1)

    silent = judge(SILENT, NEW, UNKNOWN, now=NOW, schedule=once)
    refused = judge(REFUSED, NEW, UNKNOWN, now=NOW, schedule=once)

    assert (silent.counts, silent.is_final) == (False, False)
    assert (refused.counts, refused.is_final) == (True, True)


def test_what_only_lacks_proof_says_so() -> None:
    known = replace(LAST, last_failed_at=None)

    assert verdict(TROUBLED, known, UNKNOWN).lacks_witness
    assert not verdict(TROUBLED, LAST, OPEN).lacks_witness
