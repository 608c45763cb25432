"""Why a subscriber gets nothing now: the same answer for pages, API and commands."""

from __future__ import annotations

from django.utils import timezone

from router.models import (
    BreakerState,
    Subscriber,
    SubscriberState,
)


def held_because(subscriber: Subscriber) -> str | None:
    """A sentence that says why its deliveries are held; None when they are sent."""
    if subscriber.state != SubscriberState.ACTIVE:
        why = f": {subscriber.state_reason}" if subscriber.state_reason else ""
        return f"It is {subscriber.state}{why}".rstrip(".") + "."
    if subscriber.breaker == BreakerState.OPEN:
        return "Its breaker is open: its receiver is unreachable or refuses everything."
    if is_asked_to_wait(subscriber):
        return (
            f"Its receiver asked for nothing before {subscriber.not_before:%F %T} UTC."
        )
    return None


def is_held_back(subscriber: Subscriber) -> bool:
    """Whether the receiver, and no operator, is the reason that deliveries are held."""
    is_active = subscriber.state == SubscriberState.ACTIVE
    return is_active and held_because(subscriber) is not None


def is_asked_to_wait(subscriber: Subscriber) -> bool:
    """Whether the receiver's Retry-After is not over; by the clock of this host, for
    words alone."""
    not_before = subscriber.not_before
    return not_before is not None and not_before > timezone.now()
