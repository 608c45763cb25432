"""The cursors of subscribers: where each stands, and which events its subscriber asked
for at which position. Beside the live ones stand those of backfills, which tell of the
events from before a subscriber; replays give events once more, and tell of none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, When

from router.db.statements import Select
from router.flow.cursor.asking import Asking
from router.models import LIVE, Clock, Cursor, LogHead, Run, RunKind, Subscriber
from router.models.gap import BEFORE_IMPORTS, distance, end_of_part
from router.observe.wanted import Range

#: What is read of a subscriber: what it asks for, and what screens show of it. In the
#: order of the model's fields, which `from_db` takes for granted.
OF_SUBSCRIBER = (
    "id", "name", "title", "transport", "events", "filter", "allowed_types",
    "allowed_sources", "state", "state_reason", "breaker", "not_before", "probe_at",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LiveCursor:
    """A subscriber's live cursor, or that of a backfill, as it stood at `now` by the
    database's clock."""

    subscriber: Subscriber
    cursor_id: int
    #: `LIVE`, or the number of the backfill.
    run: int
    #: Events at or below `start` are from before the cursor; those up to `position` are
    #: settled or set aside; those up to `leased_to` are at work.
    start: int
    position: int
    leased_to: int
    #: Whether the events above it have no deliveries. A cursor that is not in use stays
    #: where it was, and tells what became of the events below it.
    is_in_use: bool
    #: The last position of the log, or of the backfill.
    head: int
    #: The last position of the imports, and that of them when the cursor passed them.
    imported: int
    imports_to: int | None
    asking: Asking
    now: datetime

    def reads(self, position: int) -> bool:
        """Whether the position is above the start, and was not imported after the
        cursor had passed the imports."""
        if self.start >= position or position >= 0 or self.position < 0:
            return self.start < position
        return self.imports_to is not None and position <= self.imports_to

    def distance(self, position: int) -> int:
        """How many positions lie above the cursor, up to this one."""
        return distance(self.position, position, imported=self.imported)

    def end_of_part(self, to: int) -> int:
        """The last position up to `to` that it may read without a jump."""
        return end_of_part(self.position, to, imported=self.imported)

    def ranges(self, after: int, to: int) -> list[Range]:
        """The positions above `after` and up to `to`, a range for each period."""
        return [
            Range(
                subscriber_id=self.subscriber.pk,
                after=first,
                to=last,
                patterns=tuple(patterns),
            )
            for first, last, patterns in self.asking.patterns_between(after, to)
        ]


class RunAsks(NamedTuple):
    """What a run asks for."""

    events: Any
    filter: Any


class _Row(NamedTuple):
    """A cursor with one of its subscriber's periods."""

    cursor_id: int
    start: int
    position: int
    last_leased: int | None
    token: Any
    leased_count: int | None
    is_in_use: bool
    head: int | None
    imported: int | None
    imports_to: int | None
    now: datetime
    run: int
    #: Of a backfill.
    end: int | None
    run_events: Any
    run_filter: Any
    leased_run: int | None
    #: None of a subscriber that a release made that knew no periods.
    after: int | None
    events: Any
    filter: Any


def live_cursors(*, is_in_use: bool = False) -> list[LiveCursor]:
    """The cursors that tell what became of events, or the live ones in use alone; by
    the subscriber's key. One statement."""
    return _cursors((_IN_USE if is_in_use else _ALL).rows())


def live_cursor_of(subscriber: Subscriber) -> LiveCursor | None:
    """The live cursor of one subscriber, deleted or not; None where a release that knew
    no cursors made it. One statement."""
    return next(iter(_cursors(_rows(Q(run=LIVE), Q(subscriber=subscriber)))), None)


def cursor_telling_of(position: int, subscriber: Subscriber) -> LiveCursor | None:
    """The cursor that tells of this position, of a subscriber that may be deleted: that
    of the backfill that covers it, or the live one. None where a release that knew no
    cursors made the subscriber. One statement."""
    cursors = _cursors(_rows(_tells(), Q(subscriber=subscriber)))
    covering = (
        each
        for each in cursors
        if each.run != LIVE
        and each.reads(position)
        and position <= each.head
        and (each.is_in_use or position <= each.position)
    )
    live = (each for each in cursors if each.run == LIVE)
    return next(covering, None) or next(live, None)


def _cursors(rows: Iterable[Sequence[Any]]) -> list[LiveCursor]:
    of_each = groupby(rows, key=lambda row: row[len(OF_SUBSCRIBER)])
    return [_live_cursor(list(rows)) for _, rows in of_each]


def _live_cursor(rows: Sequence[Sequence[Any]]) -> LiveCursor:
    size = len(OF_SUBSCRIBER)
    subscriber = Subscriber.from_db(DEFAULT_DB_ALIAS, OF_SUBSCRIBER, rows[0][:size])
    periods = [_Row(*row[size:]) for row in rows]
    row = periods[0]
    if row.run == LIVE:
        periods = [each for each in periods if each.after is not None]
        asking, head = Asking(subscriber, periods), row.head or 0
    else:
        asking = Asking.of_run(subscriber, RunAsks(row.run_events, row.run_filter))
        head = row.end or 0
    return LiveCursor(
        subscriber=subscriber,
        cursor_id=row.cursor_id,
        run=row.run,
        start=row.start,
        position=row.position,
        leased_to=_leased_to(row),
        is_in_use=row.is_in_use,
        head=head,
        imported=BEFORE_IMPORTS if row.imported is None else row.imported,
        imports_to=row.imports_to,
        asking=asking,
        now=row.now,
    )


def _leased_to(row: _Row) -> int:
    """The cursor keeps what was leased last; the lease may be over, be one of
    deliveries, or that of another cursor."""
    is_leased = row.token is not None and row.leased_count and row.leased_run == row.run
    return (
        max(row.position, row.last_leased or row.position)
        if is_leased
        else row.position
    )


def _rows(*conditions: Q) -> QuerySet[Cursor, Any]:
    run = _backfills().values
    rows = Cursor.objects.annotate(
        end=Subquery(run("end")[:1]),
        run_events=Subquery(run("events")[:1]),
        run_filter=Subquery(run("filter")[:1]),
        in_use=Case(When(Cursor.IS_IN_USE, then=True), default=False),
        head=Subquery(LogHead.objects.values("position")[:1]),
        imported=Subquery(LogHead.objects.values("imported")[:1]),
        now=Clock(),
    ).filter(*conditions)
    of_subscriber = (f"subscriber__{name}" for name in OF_SUBSCRIBER)
    rows = rows.order_by("subscriber_id", "run", "subscriber__periods__after")
    return rows.values_list(*of_subscriber, *OF_ROW)


# Made when they are asked for: an app's models may import its tasks, and these with
# them, before every model is there.
def _backfills() -> QuerySet[Run]:
    of_cursor = {"subscriber": OuterRef("subscriber"), "number": OuterRef("run")}
    return Run.objects.filter(**of_cursor, kind=RunKind.BACKFILL)


def _tells() -> Q:
    return Q(run=LIVE) | Q(Exists(_backfills()))


#: What is read for each value of `_Row`.
OF_ROW = (
    "pk",
    "start",
    "position",
    "leased_to",
    "subscriber__turn__token",
    "subscriber__turn__leased_count",
    "in_use",
    "head",
    "imported",
    "imports_to",
    "now",
    "run",
    "end",
    "run_events",
    "run_filter",
    "subscriber__turn__run",
    "subscriber__periods__after",
    "subscriber__periods__events",
    "subscriber__periods__filter",
)
# One that moved once may have acknowledged something.
_ALL = Select(lambda: _rows(_tells(), Cursor.IS_IN_USE | Q(position__gt=F("start"))))
_IN_USE = Select(lambda: _rows(Cursor.IS_IN_USE, Q(run=LIVE)))
