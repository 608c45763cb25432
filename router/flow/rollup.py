"""Counts the log, a little at a time beside the dispatcher's work.

Each event and each attempt is counted once: the transaction that adds to the rollups
also moves the mark behind what it counted.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
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
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import TruncMinute
from django.utils import timezone

from router.contract.pacing import Every
from router.db.async_commit import AsyncCommit
from router.db.bulk_insert import Insert
from router.db.statements import Param, Select, fetched
from router.flow.route.low_water import Decided
from router.models import (
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
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
    3600, 86_400,
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
        self._attempts = Decided(Attempt)
        self._prune = Every(PRUNE_SECONDS)
        self._next_at = 0.0

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
            self._attempts, is_more = Decided(Attempt), False
        ended_at = time.monotonic()
        rest = REST_FACTOR * (ended_at - began_at) if is_more else LOOK_SECONDS
        self._next_at = ended_at + rest

    def step(self) -> bool:
        """Count what is next of both logs; returns whether more waits."""
        head = LogHead.objects.values_list("position", flat=True).first() or 0
        decided = self._attempts.look()
        mark, _ = RollupMark.objects.get_or_create(pk=MARK)
        if mark.position >= head and mark.attempt_id >= decided:
            return False
        with transaction.atomic():
            return _count_next(head, decided)


def bound_label(bound: float) -> str:
    """The label of the bucket with this upper bound."""
    return f"{bound:g}"


def prune_rollups() -> None:
    """Delete the minutes and hours that no screen shows; what was ever stays."""
    now = timezone.now()
    for span, kept in KEPT.items():
        Rollup.objects.filter(span=span, began_at__lt=now - kept).delete()


def _count_next(head: int, decided: int) -> bool:
    marks = RollupMark.objects.select_for_update(skip_locked=True).filter(pk=MARK)
    mark = marks.first()
    if mark is None:
        return False  # Another dispatcher counts.
    position, attempt_id = _end_of_events(mark, head), _end_of_attempts(mark, decided)
    counts = Counts()
    _count_events(counts, EVENTS.rows(after=mark.position, upto=position))
    _count_attempts(counts, ATTEMPTS.rows(after=mark.attempt_id, upto=attempt_id))
    _write(counts)
    # A crash that forgets the mark forgets the counts as well.
    RollupMark.objects.filter(AsyncCommit(), pk=MARK).update(
        position=position, attempt_id=attempt_id
    )
    return position < head or attempt_id < decided


def _end_of_events(mark: RollupMark, head: int) -> int:
    rows = EventRecord.objects.filter(position__gt=mark.position).order_by("position")
    return _last_of_step(rows.values_list("position", flat=True), mark.position, head)


def _end_of_attempts(mark: RollupMark, decided: int) -> int:
    rows = Attempt.objects.filter(pk__gt=mark.attempt_id).order_by("pk")
    return _last_of_step(rows.values_list("pk", flat=True), mark.attempt_id, decided)


def _last_of_step(numbers: QuerySet[Any, Any], begin: int, end: int) -> int:
    """The number of the last row of this step."""
    if end - begin <= STEP_ROWS:
        return max(begin, end)
    # What was pruned leaves gaps.
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


def _write(counts: Counts) -> None:
    adapted = connection.ops.adapt_datetimefield_value
    rows = [
        (int(span), adapted(began_at), str(measure), *others, *counted)
        for (span, began_at, measure, *others), counted in counts.rows.items()
    ]
    if rows:
        fetched(_ADD.of(rows))


EVENTS = Select(_events)
ATTEMPTS = Select(_attempts)
_ADD = Insert(Rollup, KINDS, dict, adding=["count", "seconds"])
