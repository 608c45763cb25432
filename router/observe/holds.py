"""Which subscribers get nothing now, and what holds them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from router.flow.breaker.held import is_asked_to_wait
from router.models import BreakerState, Subscriber, SubscriberState
from router.models.subscriber import is_handler_missing


class Hold(StrEnum):
    """What keeps every delivery of a subscriber from being tried."""

    OPERATOR = "operator"
    CODE = "code"
    RECEIVER = "receiver"
    ASKED = "asked"


IS_HELD: dict[Hold, Callable[[Subscriber], bool]] = {
    Hold.OPERATOR: lambda row: row.state != SubscriberState.ACTIVE,
    Hold.CODE: is_handler_missing,
    Hold.RECEIVER: lambda row: row.breaker == BreakerState.OPEN,
    Hold.ASKED: is_asked_to_wait,
}


def is_held(subscriber: Subscriber) -> bool:
    """Whether anything holds what the subscriber is owed."""
    return any(holds(subscriber) for holds in IS_HELD.values())


def held_subscribers(hold: Hold | None = None) -> list[int]:
    """Primary keys of the subscribers that this holds, or anything. One statement."""
    holds = is_held if hold is None else IS_HELD[hold]
    return [row.pk for row in Subscriber.objects.known() if holds(row)]
