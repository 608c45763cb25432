"""Why a subscriber gets nothing at all now."""

from __future__ import annotations

from django.utils.translation import gettext

from router.models import BreakerState, SubscriberState
from router.models.subscriber import is_handler_missing
from router.observe.explain.case import Case, Explanation, Facts, Verdict, moment
from router.observe.last_failure import last_failure
from router.observe.wording import because


def held(case: Case, **evidence: Facts) -> Explanation | None:
    """Why the subscriber gets nothing at all now; None where it does."""
    subscriber = case.subscriber
    if subscriber.state != SubscriberState.ACTIVE:
        return _of_operator(case, **evidence)
    if is_handler_missing(subscriber):
        return case.explained(
            Verdict.WAITING_FOR_CODE,
            gettext(
                "It waits for code: the handler of %(subscriber)s is not installed "
                "here."
            )
            % {"subscriber": subscriber},
            **evidence,
        )
    if subscriber.breaker == BreakerState.OPEN:
        return _of_breaker(case, **evidence)
    if subscriber.not_before and subscriber.not_before > case.now:
        return case.explained(
            Verdict.WAITING_FOR_RECEIVER,
            gettext(
                "It waits for the receiver of %(subscriber)s, which asked for nothing "
                "before %(moment)s."
            )
            % {"subscriber": subscriber, "moment": moment(subscriber.not_before)},
            receiver={"not_before": subscriber.not_before},
            **evidence,
        )
    return None


def _of_operator(case: Case, **evidence: Facts) -> Explanation:
    subscriber = case.subscriber
    text = (
        gettext("%(subscriber)s is paused since %(moment)s")
        if subscriber.state == SubscriberState.PAUSED
        else gettext("%(subscriber)s is disabled since %(moment)s")
    )
    since = moment(subscriber.state_changed_at)
    is_held = text % {"subscriber": subscriber, "moment": since}
    resumed = gettext("It gets the event after an operator resumes it.")
    return case.explained(
        Verdict.WAITING_FOR_OPERATOR,
        f"{because(is_held, subscriber.state_reason)} {resumed}",
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
    text = gettext("The receiver of %(subscriber)s is unreachable since %(moment)s")
    since = moment(subscriber.incident_since)
    is_down = text % {"subscriber": subscriber, "moment": since}
    next_try = gettext("The next try is at %(moment)s.")
    next_try %= {"moment": moment(subscriber.probe_at)}
    return case.explained(
        Verdict.WAITING_FOR_RECEIVER,
        f"{because(is_down, error)} {next_try}",
        breaker={
            "state": subscriber.breaker,
            "since": subscriber.incident_since,
            "last_error": error,
            "next_try_at": subscriber.probe_at,
        },
        **evidence,
    )
