"""How far a run is, how fast it goes, and how long it still takes.

The statements look at a bounded number of rows, however long the log is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from router.db.patterns import within
from router.models import (
    Acknowledgement,
    Clock,
    Cursor,
    Delivery,
    EventRecord,
    FailedTask,
    LogHead,
    Run,
    RunState,
    Subscriber,
)
from router.models.gap import distance, end_of_part

#: So many positions are counted; what lies beyond them is taken for alike.
LOOK = 10_000
#: So far back the speed is measured, by so many chunks and positions at most.
MEASURED = timedelta(minutes=1)
MAX_CHUNKS = 50
MAX_POSITIONS = 500
#: A moment at which something was acknowledged, and how many events.
Acknowledged = tuple[datetime, int]


@dataclass(frozen=True, kw_only=True)
class RunProgress:
    """A run as it stands; a run that is over has nothing before it."""

    run: Run
    #: Everything up to it was served, or has a delivery.
    position: int
    #: Events that it gives yet; `is_estimate` where not all of the log was looked at.
    #: A filter may let fewer through.
    remaining_events: int
    is_estimate: bool
    #: Deliveries of it that are not acknowledged yet; part of the remaining events.
    open_deliveries: int
    #: Events of it that the router gave up on, and nobody has settled yet.
    open_failed_tasks: int
    #: Events a second, lately; None where none was acknowledged lately.
    rate: float | None
    #: None where the speed is not known.
    remaining_seconds: float | None
    #: It has every import so far, and goes on when the import has ended.
    is_at_gap: bool
    #: Positions of its part of the log that lie behind it, and all of them.
    passed: int
    length: int

    @property
    def fraction(self) -> float:
        passed, length = self.passed, self.length
        return fraction_done(self.run, passed, length, self.open_deliveries)


def fraction_done(run: Run, passed: int, length: int, open_deliveries: int) -> float:
    """From 0 to 1: how much of its part of the log lies behind the run, without the
    events that it gave and that are not over yet; `Run.passed` gives the positions."""
    share = passed / length if length > 0 else 1.0
    return share * (1 - open_deliveries / max(run.count, open_deliveries, 1))


def newest_runs(subscriber: Subscriber, limit: int) -> list[tuple[Run, int]]:
    """The newest runs of a subscriber, each with its progress in percent."""
    runs: Any = Run.objects.filter(subscriber=subscriber)
    placed = runs.with_position().with_imported().with_open_count()
    newest = placed.order_by("-number")[:limit]
    return [(run, percent_of(run)) for run in newest]


def percent_of(run: Any) -> int:
    """How much of a run is done; it has its `position`, `imported` and `open_count`."""
    passed, length = run.passed(run.position, imported=run.imported)
    return int(100 * fraction_done(run, passed, length, run.open_count))


def progress_of(run: Run) -> RunProgress:
    """How far the run is, in six statements; in three once it is over."""
    cursors = Cursor.objects.filter(subscriber=run.subscriber_id, run=run.number)
    imports = Subquery(LogHead.objects.values("imported")[:1])
    columns = cursors.values_list("pk", "position", imports, Clock())
    cursor_id, position, imported, now = columns.get()
    rows = Delivery.objects.filter(subscriber=run.subscriber_id, run=run.number)
    open_deliveries = rows.open().count()
    ahead, is_estimate, rate = 0, False, None
    if run.is_open:
        ahead, is_estimate = _ahead(run, position, imported)
        recent = [*_chunks(cursor_id), *_singly(rows, position)]
        rate = _rate(recent, now) if run.state == RunState.ACTIVE else None
    remaining = ahead + open_deliveries
    passed, length = run.passed(position, imported=imported)
    # Before it has begun to move, its limit says how fast it will be.
    is_new = run.state == RunState.ACTIVE and position == run.start
    return RunProgress(
        run=run,
        position=position,
        remaining_events=remaining,
        is_estimate=is_estimate,
        open_deliveries=open_deliveries,
        open_failed_tasks=_open_failed_tasks(run),
        rate=rate,
        remaining_seconds=_seconds(
            remaining, rate or (run.rate_per_second if is_new else None)
        ),
        is_at_gap=run.is_open and imported <= position < 0 <= run.end,
        passed=passed,
        length=length,
    )


def _ahead(run: Run, position: int, imported: int) -> tuple[int, bool]:
    """Events above the cursor, and whether their number is an estimate."""
    if run.chosen is not None:
        return _asked_for(run, position, run.end).count(), False
    ahead = distance(position, run.end, imported=imported)
    to = end_of_part(position, min(run.end, position + LOOK), imported=imported)
    looked_at = to - position
    count = _asked_for(run, position, to).count()
    if ahead <= looked_at:
        return count, False
    # At the gap nothing is before it but live events.
    return round(count * ahead / looked_at) if looked_at else ahead, True


def _asked_for(run: Run, after: int, to: int) -> QuerySet[EventRecord]:
    events = EventRecord.objects.filter(
        within("type", run.events), position__gt=after, position__lte=to, only_for=None
    )
    if run.chosen is not None:
        events = events.filter(number__in_array=run.chosen)
    if run.only_failed:
        # Not by the dead deliveries: no index has them, and they may be few among all.
        failed = FailedTask.objects.open().filter(subscriber=run.subscriber_id)
        events = events.filter(Exists(failed.filter(event=OuterRef("pk"))))
    return events


def _chunks(cursor_id: int) -> Iterable[Acknowledged]:
    chunks = Acknowledgement.objects.filter(cursor=cursor_id).order_by("-last")
    return chunks.values_list("acknowledged_at", "count")[:MAX_CHUNKS]


def _singly(rows: QuerySet[Delivery], position: int) -> Iterable[Acknowledged]:
    near = rows.filter(
        event__position__gt=position - MAX_POSITIONS,
        event__position__lte=position,
        acknowledged_at__isnull=False,
    )
    return [(at, 1) for at in near.values_list("acknowledged_at", flat=True) if at]


def _rate(acknowledged: Iterable[Acknowledged], now: datetime) -> float | None:
    recent = [(at, count) for at, count in acknowledged if at > now - MEASURED]
    if not recent:
        return None
    seconds = (now - min(at for at, _ in recent)).total_seconds()
    return sum(count for _, count in recent) / max(seconds, 1.0)


def _open_failed_tasks(run: Run) -> int:
    tasks = FailedTask.objects.open().filter(subscriber=run.subscriber_id)
    return tasks.filter(delivery__run=run.number).count()


def _seconds(remaining: int, pace: float | None) -> float | None:
    if remaining == 0:
        return 0.0
    return remaining / pace if pace else None
