"""Why a subscriber gets nothing at all now."""

from __future__ import annotations

from router.models import BreakerState, SubscriberState
from router.models.subscriber import is_handler_missing
from router.observe.explain.case import Case, Explanation, Facts, Verdict, ended, moment
from router.observe.last_failure import last_failure


def held(case: Case, **evidence: Facts) -> Explanation | None:
    """Why the subscriber gets nothing at all now; None where it does."""
    subscriber = case.subscriber
    if subscriber.state != SubscriberState.ACTIVE:
        return _of_operator(case, **evidence)
    if is_handler_missing(subscriber):
        return case.explained(
            Verdict.WAITING_FOR_CODE,
            f"It waits for code: the handler of {subscriber} is not installed here.",
            **evidence,
        )
    if subscriber.breaker == BreakerState.OPEN:
        return _of_breaker(case, **evidence)
    if subscriber.not_before and subscriber.not_before > case.now:
        return case.explained(
            Verdict.WAITING_FOR_RECEIVER,
            f"It waits for the receiver of {subscriber}, which asked for nothing "
            f"before {moment(subscriber.not_before)}.",
            receiver={"not_before": subscriber.not_before},
            **evidence,
        )
    return None


def _of_operator(case: Case, **evidence: Facts) -> Explanation:
    subscriber = case.subscriber
    why = f": {subscriber.state_reason}" if subscriber.state_reason else ""
    since = moment(subscriber.state_changed_at)
    is_held = ended(f"{subscriber} is {subscriber.state} since {since}{why}")
    return case.explained(
        Verdict.WAITING_FOR_OPERATOR,
        f"{is_held} It gets the event after an operator resumes it.",
        pause={
            "state": subscriber.state,
            "since": subscriber.state_changed_at,
            "reason": subscriber.state_reason,
        },
        **evidence,
    )


def _of_breaker(case: Case, **evidence: Facts) -> Explanation:
    subscriber = case.subscriber
    error = last_failure(subscriber)
    since = moment(subscriber.incident_since)
    is_down = f"The receiver of {subscriber} is unreachable since {since}"
    return case.explained(
        Verdict.WAITING_FOR_RECEIVER,
        f"{ended(f'{is_down}: {error}' if error else is_down)} The next try is at "
        f"{moment(subscriber.probe_at)}.",
        breaker={
            "state": subscriber.breaker,
            "since": subscriber.incident_since,
            "last_error": error,
            "next_try_at": subscriber.probe_at,
        },
        **evidence,
    )
