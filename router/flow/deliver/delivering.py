"""Step 5, deliver: run the handler for each claimed delivery, then settle.

Deliveries of a transactional handler share one transaction: effects and
acknowledgements commit together or not at all. If one is not done, all roll back and
run again singly. Handlers with effects elsewhere always run singly. Receivers elsewhere
are the job of `router.flow.deliver.remote`. Suspects come last, each with a claim of
its own: if one makes the worker vanish, the next was never leased.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from django.db import DatabaseError, InterfaceError

from router.conf import conf
from router.contract.errors import LeaseLost
from router.contract.log_ids import log_ids
from router.contract.outcomes import Retry
from router.db.guard import Guard, isolate_hooks
from router.db.one_writer import others_may_write
from router.db.pipeline import own_transaction
from router.db.transient import is_session_lost, is_transient, reset_connection
from router.flow.cursor import turn
from router.flow.deliver.claiming import claims
from router.flow.deliver.releasing import release, release_after_error
from router.flow.deliver.remote import send_chunk
from router.flow.deliver.running import (
    PARKED_SECONDS,
    NotAcknowledged,
    Runner,
    runner_of,
)
from router.flow.deliver.settling import (
    acknowledge,
    note_run_time,
    settle_failure,
)
from router.flow.lease import Claim, Leased
from router.models import REMOTE, Transport
from router.transports.evidence import evidence_of
from router.transports.time_limit import alarm_taken

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Work:
    """A claim and what carries it out."""

    claim: Claim[Leased]
    runner: Runner

    def only(self, delivery: Leased) -> Work:
        return replace(self, claim=self.claim.only(delivery))


def deliver_chunk(subscriber_id: int, ids: Sequence[int]) -> None:
    """Claim what is claimable of these deliveries, carry it out and settle it.

    Suspects for whom no time is left stay unclaimed until their mark passes.
    """
    ends_at = time.monotonic() + conf().lease_seconds
    for claimed in claims(subscriber_id, ids):
        try:
            with log_ids(subscriber=claimed.subscriber.name):
                has_time = _carry_out(claimed, ends_at=ends_at)
        finally:
            if claimed.subscriber.is_streamed:
                turn.give_back(subscriber_id, claimed.token)
        if not has_time:
            return


def _carry_out(claimed: Claim[Leased], *, ends_at: float) -> bool:
    """Run and settle one claim; returns whether there is time for another."""
    if claimed.subscriber.transport == Transport.PULL:
        # Switched within the claim.
        release(claimed)
        return False
    if claimed.subscriber.transport in REMOTE:
        send_chunk(claimed, lease_ends_at=ends_at)
        return time.monotonic() + conf().webhook_deadline_seconds < ends_at
    runner = runner_of(claimed.subscriber.name, ends_at=ends_at)
    if runner is None:
        logger.error("No handler named %s is installed here", claimed.subscriber.name)
        release(claimed, wait_seconds=PARKED_SECONDS)
        return False
    work = Work(claim=claimed, runner=runner)
    if runner.declaration.is_transactional:
        _deliver_transactional(work)
    else:
        _deliver_singly(work, work.claim.deliveries, run_one=_run_outside)
    return runner.has_time()


def _deliver_transactional(work: Work) -> None:
    deliveries: Sequence[Leased] = work.claim.deliveries
    if len(deliveries) > 1 and work.runner.has_time():
        started_at = time.monotonic()
        try:
            _run_in_transaction(work)
        except NotAcknowledged as failed:
            _shrink_next_chunk(work, started_at)
            if isinstance(failed.outcome, Retry) and failed.outcome.is_time_limit:
                # A second run would cost its neighbours another whole time limit.
                _settle(work.only(failed.owed), failed)
                deliveries = [row for row in deliveries if row != failed.owed]
        except Exception as error:  # noqa: BLE001 - single runs will show the culprit
            reset_connection(error)
            _shrink_next_chunk(work, started_at)
        else:
            return
    _deliver_singly(work, deliveries, run_one=_run_in_transaction)


def _shrink_next_chunk(work: Work, started_at: float) -> None:
    """A chunk that failed late may leave the lease no time to run singly: without
    this, the same chunk would come again and fail as late, for ever."""
    run_ms = (time.monotonic() - started_at) * 1000 / len(work.claim.deliveries)
    note_run_time(work.claim.subscriber.pk, run_ms)


def _deliver_singly(
    work: Work, deliveries: Sequence[Leased], *, run_one: Callable[[Work], None]
) -> None:
    is_left_alone = False
    for index, delivery in enumerate(deliveries):
        if is_left_alone or not work.runner.has_time():
            release(work.claim.only(*deliveries[index:]))
            return
        single = work.only(delivery)
        try:
            run_one(single)
        except NotAcknowledged as failed:
            is_left_alone = _settle(single, failed)
        except LeaseLost:
            logger.warning(
                "Delivery %s: the lease was lost",
                delivery.pk,
                extra={"event": delivery.event_number, "delivery": delivery.pk},
            )
        except Exception as error:  # noqa: BLE001 - settled as this delivery's failure
            is_left_alone = _settle_trouble(single, error)


def _run_in_transaction(work: Work) -> None:
    """Handlers and acknowledgements in one transaction: all of it or nothing.

    Raises `NotAcknowledged`, `LeaseLost`, or what the database raises.
    """
    deliveries = work.claim.deliveries
    with others_may_write(), own_transaction() as may_commit:
        guard = Guard()
        with guard.watching(), alarm_taken():
            times = work.runner.run(deliveries)
        isolate_hooks()
        done, rest = deliveries[: len(times)], deliveries[len(times) :]
        if rest:
            release(work.claim.only(*rest))
        acknowledge(
            work.claim.only(*done),
            run_ms=_by_delivery(done, times),
            guard=guard.name,
            may_commit=may_commit,
        )


def _by_delivery(
    deliveries: Sequence[Leased], times: Sequence[float]
) -> dict[int, float]:
    return {each.pk: ms for each, ms in zip(deliveries, times, strict=True)}


def _run_outside(work: Work) -> None:
    """The handler outside any transaction, then its acknowledgement."""
    with alarm_taken():
        times = work.runner.run(work.claim.deliveries)
    run_ms = _by_delivery(work.claim.deliveries, times)
    with own_transaction() as may_commit:
        acknowledge(work.claim, run_ms=run_ms, may_commit=may_commit)


def _settle(work: Work, failed: NotAcknowledged) -> bool:
    return settle_failure(work.claim, failed.outcome, run_ms=failed.run_ms)


def _settle_trouble(work: Work, error: Exception) -> bool:
    is_uncounted = isinstance(error, DatabaseError | InterfaceError) and is_transient(
        error
    )
    reset_connection(error)
    if is_uncounted:
        release_after_error(work.claim, is_session_lost=is_session_lost(error))
        return False
    return settle_failure(work.claim, Retry(evidence_of(error)), run_ms=0.0)
