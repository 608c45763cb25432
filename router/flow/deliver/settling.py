"""Step 6, settle: write the outcome of an attempt in one fenced statement.

Every write names the lease token. Fewer rows than expected: a lease was lost, and
`LeaseLost` rolls everything back that was done under it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import (
    Case,
    DurationField,
    F,
    FloatField,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, Greatest

from router.conf import conf
from router.contract.errors import LeaseLost
from router.contract.failures import Verdict
from router.contract.outcomes import Dead, Exchange, Retry
from router.db.pipeline import NotAll, update_expecting
from router.db.statements import IDS, SUBSCRIBER, TOKENS, Param, Statement, Update
from router.flow import order
from router.flow.breaker import breaker
from router.flow.breaker.long_outage import end_if_too_long
from router.flow.cursor import turn
from router.flow.cursor.above import is_owed_above
from router.flow.dead_letter import give_up
from router.flow.deliver.attempts import acknowledged_log
from router.flow.lease import Claim
from router.flow.retry_waits import wait_seconds
from router.models import (
    ACKNOWLEDGED,
    Attempt,
    AttemptResult,
    Clock,
    Delivery,
    DeliveryState,
    Reason,
    Settlement,
    Subscriber,
    settled_by,
)

logger = logging.getLogger(__name__)

# How much the last chunk weighs in the moving mean of the run time.
WEIGHT = 0.2
#: What a failure changes of a delivery, each to a value of its own.
FAILURE_COLUMNS = (
    "due_at", "failures", "failing_since", "last_failed_at", "is_witnessed",
)  # fmt: skip
NO_EXCHANGES: Mapping[int, Exchange] = {}


def acknowledge(
    claim: Claim[Any],
    *,
    run_ms: Mapping[int, float],
    exchanges: Mapping[int, Exchange] = NO_EXCHANGES,
    guard: str | None = None,
    may_commit: bool = False,
    is_pulled: bool = False,
) -> None:
    """Acknowledge all deliveries of the claim, in the caller's transaction.

    `run_ms` is the run time, `exchanges` what a receiver outside answered, both by
    delivery. `guard` is a savepoint to release before; `may_commit`: the transaction is
    the outermost one, and may end with this. Raises `LeaseLost`, and what the database
    raises when there is no such savepoint.
    """
    is_troubled = breaker.is_troubled(claim.subscriber)
    # PostgreSQL writes what it can't commit into its log, where no response belongs.
    has_responses = bool(exchanges)
    statement = _ACKNOWLEDGE_PULLED if is_pulled else _ACKNOWLEDGE
    fences = [statement.bound(ids=claim.ids, tokens=claim.tokens)]
    if claim.subscriber.is_streamed and not is_pulled:
        # Its cursor may be served under a later lease, before these are given back.
        held = {"subscriber_id": claim.subscriber.pk, "token": claim.token}
        fences.insert(0, turn.HOLD.bound(**held))
    try:
        update_expecting(
            len(claim.deliveries) + len(fences) - 1,
            fences,
            acknowledged_log(claim, run_ms=run_ms, exchanges=exchanges),
            success_note(claim.subscriber.pk, list(run_ms.values())),
            before=released(guard),
            may_commit=may_commit
            and not (is_troubled or has_responses or claim.subscriber.is_ordered),
        )
    except NotAll as error:
        raise LeaseLost from error
    if claim.subscriber.is_ordered:
        order.release_next(claim.ids)
    if is_troubled:
        subscriber, first = claim.subscriber, claim.deliveries[0]
        is_due = breaker.has_due(subscriber, beside=claim.ids)
        has_more = is_due or is_owed_above(subscriber)
        breaker.note_success(subscriber, first, has_more=has_more)


def released(guard: str | None) -> Sequence[Statement]:
    """What releases the guard's savepoint, where there is one."""
    if guard is None:
        return ()
    return [Statement(connection.ops.savepoint_commit_sql(guard), ())]


def success_note(subscriber_id: int, run_ms: Sequence[float]) -> Statement:
    """The statement that notes a success at the subscriber, by these run times."""
    return _NOTE_SUCCESS.bound(
        subscriber_id=subscriber_id,
        mean_ms=sum(run_ms) / max(1, len(run_ms)),
        run=timedelta(milliseconds=min(run_ms, default=0.0)),
    )


def settle_failure(
    claim: Claim[Any],
    outcome: Retry | Dead,
    *,
    run_ms: float,
    is_beside_success: bool = False,
) -> bool:
    """Settle a failed claim of one delivery, in a transaction of its own.

    `is_beside_success` is `breaker.note_failure`'s. Returns whether the receiver is to
    be left alone now. A lease that was lost meanwhile is logged and dropped.
    """
    with transaction.atomic(savepoint=False):
        row: Any = (
            claim.held()
            .annotate(now=Clock())
            .select_related("event")
            .defer("event__data")
            .select_for_update(of=("self",))
            .first()
        )
        if row is None:
            logger.warning("Delivery %s: the lease was lost", claim.ids)
            return False
        verdict = breaker.note_failure(
            claim, row, outcome, is_beside_success=is_beside_success
        )
        _note_failure(claim, run_ms, at=row.now)
        failure = Failure(delivery=row, outcome=outcome, verdict=verdict, run_ms=run_ms)
        settle_failures([failure])
        end_if_too_long(row, outcome)
        return breaker.is_left_alone(row.subscriber, now=row.now)


def _note_failure(claim: Claim[Any], run_ms: float, *, at: datetime) -> None:
    """Note the failure at the subscriber; a slow one also counts for its run time.

    A handler that hangs keeps a worker as much as one that works. A quick failure does
    not show how long the work takes.
    """
    changes: dict[str, Any] = {"last_failed_at": at}
    if run_ms >= conf().slow_run_ms:
        known_ms = Coalesce(F("mean_run_ms"), Value(0.0))
        changes["mean_run_ms"] = Greatest(known_ms, Value(run_ms))
    Subscriber.objects.filter(pk=claim.subscriber.pk).update(**changes)


def note_run_time(subscriber_id: int, run_ms: float) -> None:
    """Raise the known run time of the subscriber's deliveries: chunks get smaller."""
    Subscriber.objects.filter(pk=subscriber_id).filter(
        Q(mean_run_ms__isnull=True) | Q(mean_run_ms__lt=run_ms)
    ).update(mean_run_ms=run_ms)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A failed attempt of a delivery, and what it means for the event.

    The caller holds the delivery's row, as it was at its `now`.
    """

    delivery: Any
    outcome: Retry | Dead
    verdict: Verdict
    run_ms: float

    @property
    def result(self) -> AttemptResult:
        if self.verdict.is_final:
            return AttemptResult.DEAD
        return AttemptResult.RETRY if self.verdict.counts else AttemptResult.UNCOUNTED


def settle_failures(failures: Sequence[Failure], **columns: Any) -> None:
    """Keep each attempt; give its delivery up, or let it wait for the next attempt.

    In the caller's transaction, which has updated the subscribers' rows. The statements
    do not grow with the deliveries that wait. `columns` are further ones to write.
    """
    waiting: list[Any] = []
    attempts: list[Attempt] = []
    for failure in failures:
        delivery, wait = failure.delivery, None
        _count(delivery, failure.verdict)
        if isinstance(failure.outcome, Retry) and not failure.verdict.is_final:
            wait = wait_seconds(delivery, failure.outcome, failure.verdict)
            delivery.due_at = delivery.now + timedelta(seconds=wait)
            waiting.append(delivery)
        attempts.append(_attempt(failure, wait))
    Attempt.objects.bulk_create(attempts)
    if waiting:
        _put_back(waiting, columns)
    for failure in failures:
        if failure.verdict.is_final:
            _give_up(failure, columns)


def _count(delivery: Any, verdict: Verdict) -> None:
    delivery.failures += int(verdict.counts)
    delivery.failing_since = delivery.failing_since or delivery.now
    delivery.last_failed_at = delivery.now
    delivery.is_witnessed = verdict.is_witnessed


def _attempt(failure: Failure, wait: float | None) -> Attempt:
    return Attempt.of(
        failure.delivery,
        failure.result,
        failure.outcome.evidence,
        wait_seconds=wait,
        duration_ms=failure.run_ms,
    )


def _put_back(deliveries: Sequence[Any], columns: Mapping[str, Any]) -> None:
    """Let these wait for their `due_at`, all in one statement."""
    by_row = {name: _by_row(deliveries, name) for name in FAILURE_COLUMNS}
    rows = Delivery.objects.filter(pk__in_array=[row.pk for row in deliveries])
    rows.reschedule(**by_row, vanished=0, is_manual=False, **columns)
    if behind := [row.pk for row in deliveries if row.ordering_key]:
        order.hold_again(behind)


def _by_row(deliveries: Sequence[Any], name: str) -> Any:
    """The value of this column for each row."""
    values = {row.pk: getattr(row, name) for row in deliveries}
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    field: Any = Delivery._meta.get_field(name)
    return Case(
        *(When(pk=pk, then=Value(value, field)) for pk, value in values.items()),
        output_field=field,
    )


def _give_up(failure: Failure, columns: Mapping[str, Any]) -> None:
    is_rejected = isinstance(failure.outcome, Dead)
    give_up(
        failure.delivery,
        reason=Reason.REJECTED if is_rejected else Reason.EXHAUSTED,
        evidence=failure.outcome.evidence,
        **columns,
    )


def _acknowledged(**more: Any) -> tuple[QuerySet[Delivery], dict[str, Any]]:
    held = Delivery.objects.filter(
        pk__in_array=IDS,
        lease_token__in_array=TOKENS,
        state__no_index=DeliveryState.LEASED,
    )
    return held, {**ACKNOWLEDGED, **more}


def _succeeded() -> tuple[QuerySet[Subscriber], dict[str, Any]]:
    mean_ms = Param("mean_ms", FloatField())
    moved = F("mean_run_ms") * (1 - WEIGHT) + mean_ms * WEIGHT
    # Without its type PostgreSQL takes it for a time, once the plan is kept.
    run = Cast(Param("run", DurationField()), DurationField())
    return Subscriber.objects.filter(pk=SUBSCRIBER), {
        "last_acknowledged_at": Clock(),
        "last_success_began_at": Clock() - run,
        "mean_run_ms": Coalesce(moved, mean_ms, output_field=FloatField()),
        "failed_in_a_row": [],
    }


_ACKNOWLEDGE = Update(_acknowledged)
_ACKNOWLEDGE_PULLED = Update(lambda: _acknowledged(**settled_by(Settlement.ACK)))
_NOTE_SUCCESS = Update(_succeeded)
