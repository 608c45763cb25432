"""The window: how many deliveries a subscriber that is served row by row may have.

It counts those that may go now. What waits for a retry, or stands behind another of its
key, must not keep healthy events out; all together are limited by `max_open`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from router.conf import conf
from router.contract.pacing import Every
from router.db.statements import SUBSCRIBER, Select
from router.flow.cursor.at_gap import IS_BESIDE_GAP
from router.flow.cursor.filling import STEP, fill
from router.flow.cursor.limit import AGAIN, notify_full, open_count
from router.flow.route.behind import BEHIND
from router.flow.route.crossing import cross_gap
from router.flow.route.head import HEAD
from router.flow.route.run_windows import fill_runs, fill_runs_of
from router.models import (
    LIVE,
    Cursor,
    Delivery,
    DeliveryQuerySet,
    DeliveryState,
    LogHead,
    Run,
    Subscriber,
)

logger = logging.getLogger(__name__)

#: Between two looks at how full the windows are, and between two fillings.
COUNT_SECONDS, FILL_SECONDS = 1.0, 0.05
#: A window with so much of it taken is full, and one is filled again below that.
CROWDED = 0.5


class Windows:
    """Whose window has room, as far as one dispatcher knows."""

    def __init__(self) -> None:
        #: Primary key of a subscriber → deliveries made since the last look.
        self._made: Counter[int] = Counter()
        self._crowded: set[int] = set()
        self._is_any_behind = True
        self._is_any_run = True
        self._look = Every(COUNT_SECONDS)
        self._filling = Every(FILL_SECONDS)

    def fits(self, subscriber_id: int, count: int) -> bool:
        """Whether so many deliveries more fit into the window."""
        is_crowded = subscriber_id in self._crowded
        return not is_crowded and self._made[subscriber_id] + count <= conf().window

    def note_routed(self, made: Mapping[int, int], *, is_any_full: bool) -> None:
        """So many deliveries were made, by subscriber; others fell behind."""
        self._made.update(made)
        self._is_any_behind |= is_any_full

    def turn(self) -> None:
        """Look at the windows, and fill those that have room, if it is time for it."""
        if self._look.is_due():
            self._made.clear()
            self._crowded = {pk for (pk,) in _CROWDED.rows()}
            self._is_any_behind = bool(BEHIND.rows())
            self._is_any_run = Run.objects.active().exists()
            if self._is_any_behind:
                notify_stopped()
            if self._is_any_behind or self._is_any_run:
                cross_gap()
        is_any = self._is_any_behind or self._is_any_run
        if is_any and self._filling.is_due():
            if self._is_any_behind:
                fill_windows()
            if self._is_any_run:
                fill_runs()


def notify_stopped() -> None:
    """Say of each subscriber that is behind, and at the limit, that it has to wait."""
    for subscriber_id, position in _STOPPED.rows():
        subscriber = Subscriber.objects.known().filter(pk=subscriber_id).first()
        if subscriber is not None:
            notify_full(subscriber, position)


def fill_windows() -> int:
    """Give the next events of subscribers that are behind deliveries, as far as there
    is room; returns how many."""
    return sum(_fill_window(pk) for (pk,) in _WITH_ROOM.rows())


def fill_for(subscriber_id: int, *, most: int) -> int:
    """Give the next events of one subscriber, which takes so many at once, deliveries,
    live ones and those of runs, as far as there is room; returns how many."""
    rows = _OF_ONE.rows(subscriber_id=subscriber_id)
    made = sum(_fill_window(pk) for (pk,) in rows)
    return made + fill_runs_of(subscriber_id, most=most)


@transaction.atomic
def _fill_window(subscriber_id: int) -> int:
    behind = Cursor.objects.filter(subscriber=subscriber_id, run=LIVE, is_behind=True)
    cursor = behind.select_for_update(skip_locked=True).first()
    if cursor is None:
        return 0
    # Read once the cursor is locked: an edit of it waits for that lock.
    subscriber = Subscriber.objects.known().get(pk=subscriber_id)
    ready, unsettled = _counts(subscriber_id)
    room = min(conf().window - ready, conf().max_open - unsettled)
    made = _fill(cursor, subscriber, room) if room > 0 else 0
    if unsettled + made >= conf().max_open:
        notify_full(subscriber, cursor.position)
    return made


def _fill(cursor: Cursor, subscriber: Subscriber, room: int) -> int:
    made = fill(cursor, subscriber, to=_position(LogHead.objects), limit=room)
    # Not waited for: routing locks the head, and then cursors.
    head = _position(LogHead.objects.select_for_update(skip_locked=True))
    if made == room or head is None or head - cursor.position > STEP:
        return made
    made += fill(cursor, subscriber, to=head, limit=room - made)
    if cursor.position == head:
        Cursor.objects.filter(pk=cursor.pk).update(is_behind=False)
    return made


def _position(heads: Any) -> Any:
    return heads.filter(pk=HEAD).values_list("position", flat=True).first()


def _counts(subscriber_id: int) -> tuple[int, int]:
    """Deliveries that may go now, and open ones, each up to its limit."""
    rows = Delivery.objects.filter(subscriber=subscriber_id)
    ready = rows.due()[: conf().window].count()
    return ready, open_count(subscriber_id)


def _nth(rows: DeliveryQuerySet, place: float) -> Subquery:
    """One of these rows, if there are more than so many."""
    return Subquery(rows.values("pk")[int(place) : int(place) + 1])


def _crowded() -> QuerySet[Subscriber, Any]:
    known = Subscriber.objects.known().filter(is_streamed=False)
    counted = known.alias(
        ready=_ready_beyond(conf().window * CROWDED),
        open=_pending_beyond(conf().max_open - 1, OuterRef("pk")),
    )
    is_crowded = Q(ready__isnull=False) | Q(open__isnull=False)
    return counted.filter(is_crowded).values_list("pk")


def _stopped() -> QuerySet[Cursor, Any]:
    """Subscriber and position of cursors that are behind, and stand at the limit."""
    behind = Cursor.objects.filter(run=LIVE, is_behind=True)
    pending = _pending_beyond(conf().max_open - 1, OuterRef("subscriber_id"))
    stopped = behind.alias(open=pending).filter(open__isnull=False)
    return stopped.values_list("subscriber_id", "position")


def _pending_beyond(place: float, subscriber: Any) -> Subquery:
    rows = Delivery.objects.filter(subscriber=subscriber, state=DeliveryState.PENDING)
    return _nth(rows.order_by("due_at", "id"), place)


def _ready_beyond(place: float) -> Subquery:
    rows = Delivery.objects.filter(subscriber=OuterRef("pk"))
    return _nth(rows.due().order_by("due_at", "id"), place)


def _fillable() -> QuerySet[Subscriber, Any]:
    """Those that are behind, and not at the limit."""
    cursors = Cursor.objects.filter(subscriber=OuterRef("pk"), run=LIVE, is_behind=True)
    return (
        Subscriber.objects.known()
        .filter(Exists(cursors.filter(IS_BESIDE_GAP)))
        .alias(open=_pending_beyond(conf().max_open * AGAIN, OuterRef("pk")))
        .filter(open__isnull=True)
        .values_list("pk")
    )


def _with_room() -> QuerySet[Subscriber, Any]:
    ready = _ready_beyond(conf().window * CROWDED)
    return _fillable().alias(ready=ready).filter(ready__isnull=True)


_CROWDED = Select(_crowded)
_STOPPED = Select(_stopped)
_WITH_ROOM = Select(_with_room)
_OF_ONE = Select(lambda: _fillable().filter(pk=SUBSCRIBER))
