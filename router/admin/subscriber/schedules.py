"""The retry schedule that holds while no person has said anything."""

from __future__ import annotations

from router.contract.retry import RetrySchedule
from router.flow.retry_waits import schedule_of
from router.models import Subscriber


def declared_schedule(subscriber: Subscriber) -> RetrySchedule:
    silent = Subscriber(declared_schedule=subscriber.declared_schedule)
    return schedule_of(silent)
