"""How fast deliveries of a subscriber start: `rate_per_second`, in stream and rows."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q

from router.models import Clock, Subscriber


def note_start(subscriber: Subscriber, count: int) -> None:
    """So many are about to start: the next may when these have had their time."""
    if count and subscriber.rate_per_second:
        pause = timedelta(seconds=count / subscriber.rate_per_second)
        Subscriber.objects.filter(pk=subscriber.pk).update(paced_until=Clock() + pause)


def is_in_pace() -> Q:
    """Subscribers whose next delivery may start now."""
    is_unpaced = Q(rate_per_second__isnull=True) | Q(paced_until__isnull=True)
    return is_unpaced | Q(paced_until__lte=Clock())
