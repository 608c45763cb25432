"""How long a failed delivery waits for its next attempt: the subscriber's schedule."""

from __future__ import annotations

from celery.utils.time import get_exponential_backoff_interval

from router.conf import conf
from router.contract.failures import Verdict
from router.contract.outcomes import Retry
from router.contract.retry import MAX_WAIT_SECONDS, RetrySchedule
from router.models import REMOTE, BreakerState, Delivery, Subscriber
from router.models.subscriber import fails_by_type

# Full jitter may say zero, and a failing handler would spin.
SHORTEST_WAIT_SECONDS = 0.5


def schedule_of(subscriber: Subscriber) -> RetrySchedule:
    """The subscriber's retry schedule, the router's settings behind it."""
    is_remote = subscriber.transport in REMOTE
    waits = conf().webhook_waits_seconds if is_remote else ()
    return subscriber.schedule(
        default=RetrySchedule(
            first_seconds=conf().retry_first_seconds,
            maximum_seconds=conf().retry_maximum_seconds,
            max_failures=len(waits) + 1 if is_remote else conf().max_failures,
            give_up_after_seconds=conf().give_up_after_seconds,
            waits_seconds=waits,
        )
    )


def asked_wait_seconds(outcome: Retry) -> float:
    """The wait that the receiver named itself; 0 when it named none."""
    return min(outcome.after_seconds or 0.0, MAX_WAIT_SECONDS)


def wait_seconds(delivery: Delivery, outcome: Retry, verdict: Verdict) -> float:
    """The wait after this failure; `delivery.failures` includes it if it counts."""
    if outcome.after_seconds is not None:
        return asked_wait_seconds(outcome)
    if verdict.is_asked:
        return scheduled_wait_seconds(delivery, delivery.attempts)
    if not verdict.counts and delivery.subscriber.breaker == BreakerState.OPEN:
        # The breaker says when it is tried again.
        return 0.0
    if verdict.lacks_witness:
        return conf().probe_maximum_seconds
    # No breaker opens for one type alone: its waits must grow by themselves.
    is_alone = not verdict.counts and fails_by_type(delivery.subscriber)
    count = delivery.attempts if is_alone else delivery.failures
    return scheduled_wait_seconds(delivery, count)


def scheduled_wait_seconds(delivery: Delivery, failures: int) -> float:
    """The wait that the subscriber's schedule names after so many failures."""
    schedule = schedule_of(delivery.subscriber)
    if schedule.waits_seconds:
        return schedule.table_wait_seconds(failures)
    wait = get_exponential_backoff_interval(
        factor=schedule.first_seconds,
        # Past this the maximum rules, and powers of two stay small.
        retries=min(max(0, failures - 1), 20),
        maximum=schedule.maximum_seconds,
        full_jitter=True,
    )
    return max(SHORTEST_WAIT_SECONDS, wait)
