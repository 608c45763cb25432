"""Step 8, prune: delete from the log what is old and owed to nobody.

An event goes as a whole, with its deliveries, their attempts and its failed tasks. It
stays as a whole while one of its deliveries is open or dead, a failed task is open, or
a cursor has not passed it. An acknowledgement goes with the last event that it covers.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import Min, QuerySet
from django.utils import timezone

from router.conf import conf
from router.db.async_commit import AsyncCommit
from router.flow.cursor.acknowledgements import (
    covering_nothing,
    delete_covering_nothing,
)
from router.flow.held_notices import notify_holders
from router.flow.route.head import lowest_cursor, mark_pruned
from router.models import (
    Attempt,
    Clock,
    Cursor,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    IngressFailedTask,
    IngressState,
    LogHead,
)
from router.models.gap import BEFORE_IMPORTS, distance, is_imported

logger = logging.getLogger(__name__)

SETTLED = (DeliveryState.ACKNOWLEDGED, DeliveryState.CANCELLED)
#: Events that the first step looks at, and the most that a step looks at.
FIRST_EVENTS, MAX_EVENTS = 10, 1000
#: A dispatcher routes nothing meanwhile: its steps are short, and each is followed by a
#: rest that is so many times as long.
DISPATCHER_STEP_SECONDS = 0.02
REST_FACTOR = 9
#: Between two walks of a dispatcher.
WALK_SECONDS = 600.0


@dataclass(kw_only=True)
class Pruned:
    """What was deleted, or would be in a dry run, and what was left."""

    #: Of `events`, `deliveries`, `attempts`, `failed tasks`, `acknowledgements` and
    #: `ingress failed tasks`.
    rows: Counter[str] = field(default_factory=Counter)
    #: When the first and the last of these events were recorded.
    first_at: datetime | None = None
    last_at: datetime | None = None
    #: Events that are old enough, and stay.
    held_count: int = 0
    #: Primary key of a subscriber → how many of them it holds.
    held_by: Counter[int] = field(default_factory=Counter)

    def add(self, rows: Mapping[str, int], recorded_at: Collection[datetime]) -> None:
        self.rows.update(rows)
        times = [*recorded_at, *filter(None, (self.first_at, self.last_at))]
        self.first_at = min(times, default=None)
        self.last_at = max(times, default=None)

    def add_held(self, held: Mapping[int, Collection[int]]) -> None:
        self.held_count += len(held)
        for subscribers in held.values():
            self.held_by.update(subscribers)

    def add_above(
        self, cursors: Mapping[int, int], last: int, *, imported: int
    ) -> None:
        """Subscribers hold what lies above their cursors: every position up to the last
        one that is old enough."""
        above = {
            pk: distance(position, last, imported=imported)
            for pk, position in cursors.items()
        }
        self.held_by.update(above)
        self.held_count += max(above.values(), default=0)


class Walk:
    """Goes once through the events of more than `days` days, in the order of their
    positions.

    It may end or be killed after any statement, and beside any other walk: the next one
    finds what is left.
    """

    def __init__(
        self, days: int, *, seconds: float = 0.1, is_dry_run: bool = False
    ) -> None:
        """An event may have a thousand rows, or a large one: each step looks at as many
        events as should take these seconds, by what the step before took."""
        self._seconds = seconds
        self._is_dry_run = is_dry_run
        self._size = FIRST_EVENTS
        self.pruned = Pruned()
        now, self._imported = _now_and_imported()
        #: What was recorded before this time may go.
        self.before = now - timedelta(days=days)
        first, last = _first(self.before), _last(self.before)
        #: Subscriber → its cursor, which has not passed all that is old.
        self.behind = cursors_below(last)
        self.pruned.add_above(self.behind, last, imported=self._imported)
        #: No event above it goes.
        self._to = lowest_cursor()
        #: Everything up to `position` was looked at; what is old ends near `end`.
        self.position = self._start = first - 1
        self.end = min(self.behind.values(), default=last)
        #: Of a dry run: numbers of the events that were looked at and would stay.
        self._kept: list[int] = []
        self._is_over = False

    @property
    def looked_at(self) -> int:
        """How many positions of `length` were looked at."""
        end = min(self.position, self.end)
        return distance(self._start, end, imported=self._imported)

    @property
    def length(self) -> int:
        """How many positions there are to look at."""
        return distance(self._start, self.end, imported=self._imported)

    def step(self) -> bool:
        """Look at the next events; returns whether there may be more that are old."""
        if self._is_over:
            return False
        if self._step():
            return True
        self._is_over = not self._prune_ingress()
        if self._is_over and self._is_dry_run:
            rest = covering_nothing(self.position, but=self._kept)
            self.pruned.rows["acknowledgements"] += rest.count()
        return not self._is_over

    def _step(self) -> bool:
        began_at = time.monotonic()
        rows = _next(self.position, self._to, self._size)
        old = [row for row in rows if row[2] < self.before]
        # Several may be as old as the last one, and stand behind it.
        if not (old or (rows and self.position < self.end)):
            return False
        self.position = rows[-1][1]
        gone = self._prune(old)
        if self._is_dry_run:
            self._kept += [number for number, *_ in rows if number not in gone]
        spent = max(time.monotonic() - began_at, self._seconds / MAX_EVENTS)
        size = int(self._size * min(2, self._seconds / spent))
        self._size = min(MAX_EVENTS, max(1, size))
        return True

    def _prune(self, rows: Sequence[Any]) -> Collection[int]:
        """`rows` have the number, position and time of each event; returns the numbers
        of those that go."""
        held = _held([number for number, *_ in rows])
        self.pruned.add_held(held)
        free = [row for row in rows if row[0] not in held]
        numbers, counted = {number for number, *_ in free}, {}
        if self._is_dry_run:
            counted = {name: each.count() for name, each in _rows_of(numbers).items()}
        elif free and mark_pruned(to=free[-1][1], number=max(numbers)):
            numbers, counted = _delete(numbers)
            counted["acknowledgements"] = delete_covering_nothing(self.position)
        else:
            numbers = set()
        self.pruned.add(counted, [at for number, _, at in free if number in numbers])
        return numbers

    def _prune_ingress(self) -> bool:
        """Delete what a bridge could not take in and a person settled long ago; returns
        whether there may be more."""
        settled = IngressFailedTask.objects.exclude(state=IngressState.OPEN)
        old = settled.filter(settled_at__lt=self.before)
        if self._is_dry_run:
            count = old.count()
        else:
            ids = list(old.values_list("pk", flat=True)[:MAX_EVENTS])
            count, _ = IngressFailedTask.objects.filter(pk__in_array=ids).delete()
        self.pruned.rows["ingress failed tasks"] += count
        return not self._is_dry_run and count == MAX_EVENTS


class Retention:
    """What a dispatcher prunes beside its work, by `ROUTER["KEEP_EVENTS_DAYS"]`."""

    def __init__(self) -> None:
        self._walk: Walk | None = None
        self._next_at = 0.0

    def turn(self) -> None:
        """Take a step if it is time for one.

        A failure of the database ends the walk, and never the turn of the dispatcher.
        """
        days = conf().keep_events_days
        began_at = time.monotonic()
        if days is None or began_at < self._next_at:
            return
        try:
            is_more = self._step(days)
        except DatabaseError as error:
            logger.warning("Old events were not pruned: %s", type(error).__name__)
            self._walk, is_more = None, False
        ended_at = time.monotonic()
        rest = REST_FACTOR * (ended_at - began_at) if is_more else WALK_SECONDS
        self._next_at = ended_at + rest

    def _step(self, days: int) -> bool:
        if self._walk is None:
            self._walk = Walk(days, seconds=DISPATCHER_STEP_SECONDS)
            notify_holders(self._walk.behind, self._walk.before)
        if self._walk.step():
            return True
        if count := self._walk.pruned.rows["events"]:
            logger.info("Pruned %d events of more than %d days", count, days)
        self._walk = None
        return False


def _now_and_imported() -> tuple[datetime, int]:
    """The time by the database, and the last position of the imports."""
    rows: list[Any] = list(LogHead.objects.values_list(Clock(), "imported")[:1])
    return rows[0] if rows else (timezone.now(), BEFORE_IMPORTS)


def _first(before: datetime) -> int:
    """The position of the first import where that was recorded before, else that of
    the first live event."""
    routed = EventRecord.objects.order_by("position").values_list("position", flat=True)
    imports = routed.filter(position__lt=0)[:1]
    old: list[Any] = [
        position
        for position, at in imports.values_list("position", "recorded_at")
        if at < before
    ]
    return next(iter(old or routed.filter(position__gt=0)[:1]), None) or 1


def _last(before: datetime) -> int:
    """The position of the last live event that was recorded before, or of one as old;
    else that of an import."""
    old = EventRecord.objects.filter(recorded_at__lt=before).order_by("-recorded_at")
    live, imports = old.filter(position__gt=0), old.filter(position__lt=0)
    # A step of an import has one time.
    imports = imports.order_by("-recorded_at", "-position")
    for rows in (live, imports):
        position: int | None = rows.values_list("position", flat=True).first()
        if position is not None:
            return position
    return 0


def _next(after: int, to: int | None, limit: int) -> list[Any]:
    """Number, position and time of the next events, up to a position: imports, or live
    events, each of which have a mark of their own."""
    events = EventRecord.objects.filter(position__gt=after)
    if to is not None:
        events = events.filter(position__lte=to)
    rows = events.order_by("position")[:limit]
    read = list(rows.values_list("number", "position", "recorded_at"))
    return [row for row in read if is_imported(row[1]) == is_imported(read[0][1])]


def cursors_below(position: int) -> dict[int, int]:
    """Primary key of a subscriber → its lowest cursor, where that is below this
    position."""
    below = Cursor.objects.in_use().filter(position__lt=position)
    lowest = below.values("subscriber").annotate(at=Min("position")).order_by()
    return dict(lowest.values_list("subscriber", "at"))


def _held(numbers: Collection[int]) -> dict[int, set[int]]:
    """Number of an event that must stay → the subscribers for which it must."""
    unsettled = Delivery.objects.exclude(state__in=SETTLED)
    held: defaultdict[int, set[int]] = defaultdict(set)
    for rows in (unsettled, FailedTask.objects.open()):
        of_events = rows.filter(event__number__in_array=numbers)
        for number, holder in of_events.values_list("event_id", "subscriber_id"):
            held[number].add(holder)
    return held


@transaction.atomic
def _delete(numbers: Collection[int]) -> tuple[set[int], dict[str, int]]:
    """Delete those that may go still, and return them.

    Code that makes an old event owed again holds the event's row: what holds one now is
    passed over, what held one before is seen by the later look.
    """
    events = EventRecord.objects.filter(AsyncCommit(), pk__in_array=numbers)
    locked = events.select_for_update(skip_locked=True).values_list("pk", flat=True)
    free = set(locked)
    free -= _held(free).keys()
    rows_of = _rows_of(free)
    return free, {name: rows.delete()[0] for name, rows in rows_of.items()}


def _rows_of(numbers: Collection[int]) -> dict[str, QuerySet[Any]]:
    """All rows of these events, those that refer to others first."""
    deliveries = Delivery.objects.filter(event__number__in_array=numbers)
    # In an array: then no plan reads the whole table of attempts.
    ids = list(deliveries.values_list("pk", flat=True))
    return {
        "attempts": Attempt.objects.filter(delivery__id__in_array=ids),
        "failed tasks": FailedTask.objects.filter(event__number__in_array=numbers),
        "deliveries": Delivery.objects.filter(pk__in_array=ids),
        "events": EventRecord.objects.filter(pk__in_array=numbers),
    }
