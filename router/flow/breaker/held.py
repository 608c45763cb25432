"""Why a subscriber gets nothing now: the same answer for pages, API and commands."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext

from router.models import (
    BreakerState,
    Subscriber,
    SubscriberState,
)


def held_because(subscriber: Subscriber) -> str | None:
    """A sentence that says why its deliveries are held; None when they are sent."""
    if subscriber.state != SubscriberState.ACTIVE:
        return _of_operator(subscriber)
    if subscriber.breaker == BreakerState.OPEN:
        return gettext(
            "Its breaker is open: its receiver is unreachable or refuses everything."
        )
    if is_asked_to_wait(subscriber):
        text = gettext("Its receiver asked for nothing before %(moment)s UTC.")
        return text % {"moment": f"{subscriber.not_before:%F %T}"}
    return None


def _of_operator(subscriber: Subscriber) -> str:
    is_paused = subscriber.state == SubscriberState.PAUSED
    state = gettext("It is paused") if is_paused else gettext("It is disabled")
    if subscriber.state_reason:
        values = {"state": state, "cause": subscriber.state_reason}
        state = gettext("%(state)s: %(cause)s") % values
    return state.rstrip(".") + "."


def is_held_back(subscriber: Subscriber) -> bool:
    """Whether the receiver, and no operator, is the reason that deliveries are held."""
    is_active = subscriber.state == SubscriberState.ACTIVE
    return is_active and held_because(subscriber) is not None


def is_asked_to_wait(subscriber: Subscriber) -> bool:
    """Whether the receiver's Retry-After is not over; by the clock of this host, for
    words alone."""
    not_before = subscriber.not_before
    return not_before is not None and not_before > timezone.now()
