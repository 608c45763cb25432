"""Gives the next events above a cursor deliveries, and moves the cursor past them."""

from __future__ import annotations

from copy import copy

from django.db.models import QuerySet

from router.db.statements import fetched
from router.flow.route.matching import Broken, Matching
from router.flow.route.routing import give_up_on_unfiltered, waiting_unless_there
from router.models import Cursor, EventRecord, Period, Subscriber

#: Events that one step looks at.
STEP = 5000


class Asking:
    """A subscriber as it asked at a position."""

    def __init__(self, subscriber: Subscriber) -> None:
        self._subscriber = copy(subscriber)
        periods = Period.objects.filter(subscriber=subscriber).order_by("-after")
        self._periods = list(periods)

    def at(self, position: int) -> Subscriber:
        period = next(each for each in self._periods if each.after < position)
        self._subscriber.events = period.events
        self._subscriber.filter = period.filter
        return self._subscriber


def fill(cursor: Cursor, subscriber: Subscriber, *, to: int, limit: int) -> int:
    """Give the next events up to position `to` deliveries, at most `limit` of them;
    returns how many got one. The look ends after `STEP` events.

    In the caller's transaction, which keeps others from the cursor. An event that has a
    delivery already keeps it.
    """
    asking = Asking(subscriber)
    until = min(to, cursor.position + STEP)
    broken: Broken = {}
    owed: list[EventRecord] = []
    for event in _events(cursor.position, until):
        asked = asking.at(event.position or 0)
        if not Matching(event, broken).is_owed(asked):
            continue
        if len(owed) == limit:
            until = (event.position or 0) - 1
            broken.pop((event.number, subscriber.pk), None)
            break
        owed.append(event)
    if owed:
        fetched(waiting_unless_there([(each.number, subscriber.pk) for each in owed]))
    give_up_on_unfiltered(broken)
    cursor.position = until
    Cursor.objects.filter(pk=cursor.pk).update(position=until)
    return len(owed)


def _events(after: int, until: int) -> QuerySet[EventRecord]:
    events = EventRecord.objects.filter(position__gt=after, position__lte=until)
    return events.order_by("position").defer("data")
