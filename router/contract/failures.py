"""Whose failure is it: the event's, or the receiver's?

A failure counts against the event only with a reason to blame the event. The best one
is a *witness*: the receiver acknowledged another delivery after the event's previous
failure, and the event failed again. An outage has no witness, so it gives up nothing; a
poison event among successes soon has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from router.contract.outcomes import FailureKind, Retry
from router.contract.retry import RetrySchedule

#: A receiver that works on many deliveries at once acknowledges some that began before
#: the event failed. They are witnesses while the breaker is closed, if they began at
#: most so long before; when an outage begins, work that was in progress still ends
#: well.
OVERLAP = timedelta(seconds=2)


@dataclass(frozen=True, kw_only=True)
class Past:
    """What became of the event's attempts since it was routed, or retried by hand."""

    failures: int = 0
    first_failed_at: datetime | None = None
    last_failed_at: datetime | None = None
    #: It failed both before and after the receiver acknowledged another.
    is_witnessed: bool = False


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """What is known of the receiver when a failure is judged."""

    #: The last delivery that it acknowledged: when the attempt began and when it ended.
    success_began_at: datetime | None = None
    success_ended_at: datetime | None = None
    #: The breaker is open, or opened or closed since the attempt began.
    is_in_doubt: bool = False
    #: As many different deliveries failed in a row as open a breaker when nothing was
    #: acknowledged lately: perhaps it refuses all.
    is_failing: bool = False

    def acknowledged_since(self, moment: datetime | None) -> bool:
        """Whether it acknowledged another delivery after a failure at `moment`."""
        began, ended = self.success_began_at, self.success_ended_at
        if moment is None or began is None or ended is None:
            return False
        if self.is_in_doubt:
            return began > moment
        return ended > moment and began > moment - OVERLAP


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a failure means for the event."""

    #: The failure counts against the event.
    counts: bool
    #: The event is given up.
    is_final: bool = False
    #: As `Past.is_witnessed`, with this failure.
    is_witnessed: bool
    #: It would be the last one, and nothing proves that the event is to blame.
    lacks_witness: bool = False
    #: The receiver asked to be called again later: no failure.
    is_asked: bool = False


def judge(
    failure: Retry,
    past: Past,
    receiver: Receiver,
    *,
    now: datetime,
    schedule: RetrySchedule,
) -> Verdict:
    """Whether the failure counts against the event, and whether it is given up."""
    is_witness_now = receiver.acknowledged_since(past.last_failed_at)
    is_witnessed = past.is_witnessed or is_witness_now
    failing_for = now - (past.first_failed_at or now)
    is_too_long = failing_for >= timedelta(seconds=schedule.give_up_after_seconds)
    if failure.is_asked and not is_too_long:
        return Verdict(counts=False, is_witnessed=is_witnessed, is_asked=True)
    counts = is_witness_now or (
        not receiver.is_in_doubt and _blames_event(failure, past, schedule)
    )
    if past.failures + 1 < schedule.max_failures:
        return Verdict(counts=counts, is_witnessed=is_witnessed)
    has_proof = is_witnessed or (_is_refusal(failure) and not receiver.is_failing)
    is_too_old = is_too_long and receiver.acknowledged_since(past.first_failed_at)
    is_final = (counts and has_proof) or is_too_old
    return Verdict(
        counts=is_final,
        is_final=is_final,
        is_witnessed=is_witnessed,
        lacks_witness=counts and not is_final,
    )


def _blames_event(failure: Retry, past: Past, schedule: RetrySchedule) -> bool:
    """Whether the failure counts without a witness, while the breaker is closed."""
    is_first = past.last_failed_at is None and schedule.max_failures > 1
    is_usual = failure.kind is FailureKind.TROUBLED and past.is_witnessed
    return is_first or is_usual or _is_refusal(failure)


def _is_refusal(failure: Retry) -> bool:
    return failure.is_time_limit or failure.kind is FailureKind.REFUSED
