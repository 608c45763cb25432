"""Acknowledgements that are old: merged by the hour, and deleted with their events."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery

from router.contract.pacing import Every
from router.models import Acknowledgement, Clock, Cursor, EventRecord, RollupMark
from router.models.cursor import BEFORE_EVERYTHING
from router.models.gap import is_imported

#: What is younger stays as it was written.
MERGED_AFTER = timedelta(days=1)
#: Rows that one step reads.
STEP = 1000
#: Between two rounds through all cursors.
ROUND_SECONDS = 600.0
#: After each step a rest so many times as long.
REST_FACTOR = 9


class Merging:
    """Merges old Acknowledgements, one cursor a step, beside a dispatcher's work.

    Without it a shop with few events would keep a row for each event and subscriber.
    """

    def __init__(self) -> None:
        self._round = Every(ROUND_SECONDS)
        self._cursors: list[int] = []
        #: Primary key of a cursor → up to where its rows are merged.
        self._merged_to: dict[int, int] = {}
        self._next_at = 0.0

    def turn(self) -> None:
        """Take a step if it is time for one."""
        began_at = time.monotonic()
        if began_at < self._next_at:
            return
        if not self._cursors and self._round.is_due():
            self._cursors = self._with_old_rows()
        if self._cursors:
            self._step(self._cursors[-1])
            ended_at = time.monotonic()
            self._next_at = ended_at + REST_FACTOR * (ended_at - began_at)

    def _with_old_rows(self) -> list[int]:
        """Cursors whose first row is old, and whose last one this has not merged yet.

        One statement, by the index: subscribers that were deleted, or are idle, stay
        for as long as their events, and must cost no step each.
        """
        rows = Acknowledgement.objects.filter(cursor=OuterRef("pk"))
        old = Cursor.objects.annotate(
            began_at=Subquery(rows.order_by("last").values("acknowledged_at")[:1]),
            newest=Subquery(rows.order_by("-last").values("last")[:1]),
        ).filter(began_at__lt=Clock() - MERGED_AFTER)
        known, nothing = self._merged_to, BEFORE_EVERYTHING
        pairs = old.values_list("pk", "newest")
        return [pk for pk, newest in pairs if newest > known.get(pk, nothing)]

    def _step(self, cursor_id: int) -> None:
        after = self._merged_to.get(cursor_id, BEFORE_EVERYTHING)
        self._merged_to[cursor_id], is_more = merge(cursor_id, after=after)
        if not is_more:
            self._cursors.pop()


@transaction.atomic
def merge(cursor_id: int, *, after: int = BEFORE_EVERYTHING) -> tuple[int, bool]:
    """Merge the next old rows that end above `after` and are in the rollups; returns up
    to where all are, and whether there may be more.

    Each hour becomes one row, which covers what its rows covered and what lies between
    them: an event there has a delivery, or was not wanted. Between imports and live
    events more may be imported, so that no row reaches over the gap. Whatever else
    makes one row of several, or adds to one, holds the cursor's lock as well.
    """
    cursors = Cursor.objects.select_for_update(skip_locked=True).filter(pk=cursor_id)
    locked = list(cursors.values_list(Clock()))
    if not locked:
        return after, False
    [(now,)] = locked
    rows = list(_old(cursor_id, after, now))
    hours = [list(hour) for _, hour in groupby(rows, key=_hour_and_part)]
    merged = [(_one_of(hour), hour) for hour in hours if len(hour) > 1]
    gone = [row.pk for one, hour in merged for row in hour if row is not one]
    if gone:
        Acknowledgement.objects.filter(pk__in_array=gone).delete()
        Acknowledgement.objects.bulk_update(
            [one for one, _ in merged], ["first", "count", "run_ms", "worker"]
        )
    # The last hour may go on in the rows that follow.
    is_more = len(rows) == STEP
    done = hours[:-1] if is_more else hours
    return done[-1][-1].last if done else after, is_more


def _old(cursor_id: int, after: int, now: datetime) -> QuerySet[Acknowledgement]:
    before = (now - MERGED_AFTER).replace(minute=0, second=0, microsecond=0)
    # The rollups would count again what a row took over from rows that they know.
    counted = RollupMark.objects.values("acknowledgement_id")
    rows = Acknowledgement.objects.filter(
        cursor=cursor_id,
        pk__lte=Subquery(counted[:1]),
        last__gt=after,
        acknowledged_at__lt=before,
    ).order_by("last")
    # Locked for pruning, which may delete each of them by itself.
    return rows.select_for_update()[:STEP]


def _hour_and_part(row: Acknowledgement) -> tuple[datetime, bool]:
    hour = row.acknowledged_at.replace(minute=0, second=0, microsecond=0)
    return hour, is_imported(row.last)


def _one_of(hour: Sequence[Acknowledgement]) -> Acknowledgement:
    """The last of these rows, made to stand for all of them."""
    one = hour[-1]
    one.first = hour[0].first
    timed = [row for row in hour if row.run_ms is not None]
    runs = sum(row.count for row in timed)
    if runs:
        one.run_ms = sum((row.run_ms or 0) * row.count for row in timed) / runs
    one.count = sum(row.count for row in hour)
    if {row.worker for row in hour} != {one.worker}:
        one.worker = ""
    return one


def covering_nothing(
    to: int, *, but: Collection[int] | None = None
) -> QuerySet[Acknowledgement]:
    """Those that end at or below a position, and of whose events none is left; with
    `but`, none that has one of these numbers."""
    # By cursor: there is no index of the positions alone.
    cursors = list(Cursor.objects.values_list("pk", flat=True))
    left = EventRecord.objects.filter(
        position__gte=OuterRef("first"), position__lte=OuterRef("last")
    )
    if but is not None:
        left = left.filter(number__in_array=list(but))
    rows = Acknowledgement.objects.filter(cursor__id__in_array=cursors, last__lte=to)
    return rows.filter(~Exists(left))


@transaction.atomic
def delete_covering_nothing(to: int) -> int:
    """Delete those that say nothing any more; returns how many.

    Locked, and then looked at again: a merge that was under way may have made one of
    them cover an event that is left.
    """
    locked = covering_nothing(to).select_for_update(skip_locked=True, of=("self",))
    ids = list(locked.values_list("pk", flat=True))
    if not ids:
        return 0
    return covering_nothing(to).filter(pk__in_array=ids).delete()[0]
