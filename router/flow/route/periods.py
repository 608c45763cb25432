"""From which position which types and filter of a subscriber hold."""

from __future__ import annotations

from typing import Any

from router.models import LogHead, Period, Subscriber
from router.models.cursor import BEFORE_EVERYTHING


def begin_period(subscriber: Subscriber, head: LogHead) -> None:
    """Judge the events from the head on by what the subscriber asks for now.

    In the caller's transaction, which holds the head's lock.
    """
    asked: dict[str, Any] = {"events": subscriber.events, "filter": subscriber.filter}
    last = Period.objects.filter(subscriber=subscriber).order_by("-after").first()
    if last is None:
        Period.objects.create(subscriber=subscriber, after=BEFORE_EVERYTHING, **asked)
    elif asked != {"events": last.events, "filter": last.filter}:
        # Never updated: dispatchers know by the newest row that something changed.
        begun = {"subscriber": subscriber, "after": head.position}
        Period.objects.filter(**begun).delete()
        Period.objects.create(**begun, **asked)
