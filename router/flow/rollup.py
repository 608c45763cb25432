"""Counts the log, a little at a time beside the dispatcher's work.

Each event, each attempt and each acknowledgement of a chunk is counted once: the
transaction that adds to the rollups also moves the mark behind what it counted. A chunk
counts as its events, and tells of their times the mean of their runs, and how long the
oldest waited: one look at the log for each chunk.
"""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, TruncMinute
from django.utils import timezone

from router.contract.pacing import Every
from router.db.async_commit import AsyncCommit
from router.db.bulk_insert import Insert
from router.db.statements import Param, Select, fetched
from router.flow.route.low_water import Decided
from router.models import (
    LIVE,
    Acknowledgement,
    Attempt,
    AttemptResult,
    EventRecord,
    LogHead,
    Measure,
    Origin,
    Rollup,
    RollupMark,
    Span,
)

logger = logging.getLogger(__name__)

#: Between two looks for something new.
LOOK_SECONDS = 2.0
#: A dispatcher routes nothing meanwhile: a step counts so many rows of each log at
#: most, and is followed by a rest that is so many times as long.
STEP_ROWS = 1000
REST_FACTOR = 4
#: The upper bounds of the buckets of times.
BOUNDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120,
    180, 300, 900, 3600, 86_400,
)  # fmt: skip
ABOVE = "+Inf"
#: A publisher that makes up types must not make the metrics grow without end.
MAX_TYPES = 500
OTHER_TYPES = "(other)"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PRUNE_SECONDS = 600.0
KEPT = {Span.MINUTE: timedelta(hours=26), Span.HOUR: timedelta(days=35)}
MARK = 1
#: A step counts what is after the one and not after the other.
AFTER = Param("after", BigIntegerField())
UPTO = Param("upto", BigIntegerField())

#: Of a row of rollups, and its type on PostgreSQL.
KINDS = {
    "span": "smallint",
    "began_at": "timestamptz",
    "measure": "text",
    "subscriber_id": "bigint",
    "label": "text",
    "count": "bigint",
    "seconds": "double precision",
}
Key = tuple[Span, datetime, Measure, int, str]


class Counts:
    """Key of a rollup → its count and its seconds."""

    def __init__(self) -> None:
        self.rows: defaultdict[Key, tuple[int, float]] = defaultdict(lambda: (0, 0.0))

    def add(
        self,
        minute: datetime,
        measure: Measure,
        subscriber_id: int,
        label: str,
        *,
        count: int,
        seconds: float = 0.0,
    ) -> None:
        """Add to the minute, to its hour, and to what is counted since ever."""
        began = {Span.EVER: EPOCH, Span.MINUTE: minute, Span.HOUR: _hour_of(minute)}
        for span, began_at in began.items():
            key = (span, began_at, measure, subscriber_id, label)
            known_count, known_seconds = self.rows[key]
            self.rows[key] = known_count + count, known_seconds + seconds


def _hour_of(minute: datetime) -> datetime:
    return minute.replace(minute=0)


class Rollups:
    """What a dispatcher counts beside its work; of several, one at a time counts."""

    def __init__(self) -> None:
        self._start()
        self._prune = Every(PRUNE_SECONDS)
        self._next_at = 0.0

    def _start(self) -> None:
        self._attempts = Decided(Attempt)
        self._acknowledgements = Decided(Acknowledgement)

    def turn(self) -> None:
        """Take a step if it is time for one.

        A failure of the database never ends the turn of the dispatcher.
        """
        began_at = time.monotonic()
        if began_at < self._next_at:
            return
        try:
            is_more = self.step()
            if self._prune.is_due():
                prune_rollups()
        except DatabaseError as error:
            logger.warning("The log was not counted: %s", type(error).__name__)
            self._start()
            is_more = False
        ended_at = time.monotonic()
        rest = REST_FACTOR * (ended_at - began_at) if is_more else LOOK_SECONDS
        self._next_at = ended_at + rest

    def step(self) -> bool:
        """Count what is next of each log; returns whether more waits."""
        ends = {
            "attempt_id": self._attempts.look(),
            "acknowledgement_id": self._acknowledgements.look(),
        }
        mark = _marks().first()
        if mark is None:
            RollupMark.objects.get_or_create(pk=MARK)
            return self.step()
        ends["position"] = mark.head
        if not any(getattr(mark, name) < end for name, end in ends.items()):
            return False
        with transaction.atomic():
            return _count_next(ends)


def bound_label(bound: float) -> str:
    """The label of the bucket with this upper bound."""
    return f"{bound:g}"


def prune_rollups() -> None:
    """Delete the minutes and hours that no screen shows; what was ever stays."""
    now = timezone.now()
    for span, kept in KEPT.items():
        Rollup.objects.filter(span=span, began_at__lt=now - kept).delete()


def _marks() -> QuerySet[Any]:
    """The mark, with the head of the log."""
    head = Subquery(LogHead.objects.values("position")[:1])
    return RollupMark.objects.filter(pk=MARK).annotate(head=Coalesce(head, 0))


def _count_next(ends: Mapping[str, int]) -> bool:
    """Count a step of each log: from the field of the mark to the number in `ends`."""
    marks = RollupMark.objects.select_for_update(skip_locked=True).filter(pk=MARK)
    mark = marks.first()
    if mark is None:
        return False  # Another dispatcher counts.
    counts, counted = Counts(), {}
    for name, log in LOGS.items():
        after = getattr(mark, name)
        counted[name] = upto = _end_of_step(log, after, ends[name])
        if upto > after:
            log.count(counts, log.rows.rows(after=after, upto=upto))
    _write(counts)
    # A crash that forgets the mark forgets the counts as well.
    RollupMark.objects.filter(AsyncCommit(), pk=MARK).update(**counted)
    return any(counted[name] < end for name, end in ends.items())


def _end_of_step(log: Log, after: int, end: int) -> int:
    """The number of the last row of this step."""
    if end - after <= STEP_ROWS:
        return max(after, end)
    # What was pruned leaves gaps.
    rows = log.model._default_manager.filter(**{f"{log.number}__gt": after})
    numbers = rows.order_by(log.number).values_list(log.number, flat=True)
    last = numbers[STEP_ROWS - 1 : STEP_ROWS].first()
    return end if last is None else min(last, end)


def _events() -> QuerySet[Any, Any]:
    """Type, minute and count of the events of a step."""
    rows = EventRecord.objects.filter(position__gt=AFTER, position__lte=UPTO)
    minute = TruncMinute("recorded_at", tzinfo=UTC)
    groups = rows.order_by().values("type", minute=minute)
    return groups.annotate(total=Count("pk")).values_list("type", "minute", "total")


def _attempts() -> QuerySet[Any, Any]:
    """The attempts of a step, each group with its count and its times."""
    since = ExpressionWrapper(
        F("ended_at") - F("delivery__event__recorded_at"), DurationField()
    )
    # Of a delivery that a person asked for again it would tell when that was.
    is_live = Q(result=AttemptResult.ACKNOWLEDGED, delivery__origin=Origin.LIVE)
    rows = Attempt.objects.filter(pk__gt=AFTER, pk__lte=UPTO).alias(since=since)
    rows = rows.annotate(
        minute=TruncMinute("ended_at", tzinfo=UTC),
        subscriber=F("delivery__subscriber_id"),
        wait=Case(When(is_live, then=F("since"))),
    )
    of = ("minute", "subscriber", "result", "wait_bucket", "run_bucket")
    groups = rows.order_by().values(
        *of[:3],
        wait_bucket=_bucket("wait", [timedelta(seconds=bound) for bound in BOUNDS]),
        run_bucket=_bucket("duration_ms", [bound * 1000 for bound in BOUNDS]),
    )
    counted: QuerySet[Any, Any] = groups.annotate(
        total=Count("pk"), waits=Sum("wait"), runs_ms=Sum("duration_ms")
    )
    return counted.values_list(*of, "total", "waits", "runs_ms")


def _acknowledgements() -> QuerySet[Any, Any]:
    """The chunks of a step, with the time at which their first event was recorded."""
    rows = Acknowledgement.objects.filter(pk__gt=AFTER, pk__lte=UPTO)
    first = EventRecord.objects.filter(position=OuterRef("first"))
    return rows.order_by().values_list(
        "acknowledged_at",
        "cursor__subscriber_id",
        "cursor__run",
        "count",
        "run_ms",
        Subquery(first.values("recorded_at")),
    )


def _bucket(field: str, bounds: Sequence[Any]) -> Case:
    """The upper bound of the bucket of this field; None where it has no value."""
    return Case(
        When(**{f"{field}__isnull": True}, then=None),
        *(
            When(**{f"{field}__lte": bound}, then=Value(bound_label(shown)))
            for bound, shown in zip(bounds, BOUNDS, strict=True)
        ),
        default=Value(ABOVE),
        output_field=CharField(),
    )


def _count_events(counts: Counts, rows: Sequence[Any]) -> None:
    ever = Rollup.objects.filter(span=Span.EVER, measure=Measure.EVENTS)
    known = set(ever.values_list("label", flat=True)) if rows else set()
    for event_type, minute, total in rows:
        is_known = event_type in known or len(known) < MAX_TYPES
        label = event_type if is_known else OTHER_TYPES
        known.add(label)
        counts.add(minute, Measure.EVENTS, 0, label, count=total)


def _count_attempts(counts: Counts, rows: Sequence[Any]) -> None:
    for minute, subscriber, result, wait, run, total, waits, runs_ms in rows:
        for measure, label, seconds in (
            (Measure.ATTEMPTS, result.lower(), 0.0),
            (Measure.PUBLISH_TO_ACK, wait, waits.total_seconds() if waits else 0.0),
            (Measure.RUN_TIME, run, (runs_ms or 0.0) / 1000),
        ):
            if label is not None:
                of = (minute, measure, subscriber, label)
                counts.add(*of, count=total, seconds=seconds)


def _count_acknowledgements(counts: Counts, rows: Sequence[Any]) -> None:
    for acknowledged_at, subscriber, run, count, run_ms, recorded_at in rows:
        minute = acknowledged_at.replace(second=0, microsecond=0)
        of = (minute, Measure.ATTEMPTS, subscriber, AttemptResult.ACKNOWLEDGED.lower())
        counts.add(*of, count=count)
        times = {Measure.RUN_TIME: None if run_ms is None else run_ms / 1000}
        if run == LIVE and recorded_at is not None:
            wait = acknowledged_at - recorded_at
            times[Measure.PUBLISH_TO_ACK] = wait.total_seconds()
        for measure, seconds in times.items():
            if seconds is not None:
                of = (minute, measure, subscriber, LABELS[bisect_left(BOUNDS, seconds)])
                counts.add(*of, count=count, seconds=seconds * count)


def _write(counts: Counts) -> None:
    adapted = connection.ops.adapt_datetimefield_value
    rows = [
        (int(span), adapted(began_at), str(measure), *others, *counted)
        for (span, began_at, measure, *others), counted in counts.rows.items()
    ]
    if rows:
        fetched(_ADD.of(rows))


@dataclass(frozen=True)
class Log:
    """A table that is counted once, in the order of a number."""

    model: type[Model]
    number: str
    rows: Select
    count: Callable[[Counts, Sequence[Any]], None]


#: A field of the mark → what it tells of.
LOGS = {
    "position": Log(EventRecord, "position", Select(_events), _count_events),
    "attempt_id": Log(Attempt, "pk", Select(_attempts), _count_attempts),
    "acknowledgement_id": Log(
        Acknowledgement, "pk", Select(_acknowledgements), _count_acknowledgements
    ),
}
LABELS = (*map(bound_label, BOUNDS), ABOVE)
_ADD = Insert(Rollup, KINDS, dict, adding=["count", "seconds"])
