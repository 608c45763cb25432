"""What happened over an hour, a day or a week, from the rollups alone."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import Max, QuerySet, Sum

from router.flow.rollup import BOUNDS, LABELS
from router.models import AttemptResult, Measure, Rollup, Span
from router.observe.rollups import cumulated

#: Within this time a dispatcher has counted what happened.
LAG_SECONDS = 10
ACKNOWLEDGED = AttemptResult.ACKNOWLEDGED.lower()


class Window(StrEnum):
    """How far back; the last bucket of a day or a week is the current hour."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"

    @property
    def span(self) -> Span:
        return Span.MINUTE if self is Window.HOUR else Span.HOUR

    @property
    def bucket_count(self) -> int:
        """Its buckets."""
        return {Window.HOUR: 60, Window.DAY: 24, Window.WEEK: 168}[self]

    def buckets(self, now: datetime) -> list[datetime]:
        """When each began. A minute that is not over, or not yet counted, would look
        like a fall."""
        length = timedelta(seconds=self.span)
        counted = now.astimezone(UTC) - timedelta(seconds=LAG_SECONDS)
        current = counted.replace(second=0, microsecond=0)
        if self.span == Span.HOUR:
            current = current.replace(minute=0) + length
        return [current - length * back for back in range(self.bucket_count, 0, -1)]


@dataclass(kw_only=True)
class Bucket:
    """What was counted within a minute or an hour."""

    began_at: datetime
    #: Of a bucket that is not over, those that have passed.
    seconds: float
    published: int = 0
    #: Ended attempts, by their result.
    attempts: dict[str, int] = field(default_factory=dict)
    #: From recording to acknowledgement: label of the histogram's bucket → events.
    waits: dict[str, int] = field(default_factory=dict)
    #: `moving`, `waiting`, `held` → events owed; empty where no dispatcher sampled.
    backlog: dict[str, int] = field(default_factory=dict)
    oldest_seconds: float | None = None

    @property
    def acknowledged(self) -> int:
        return self.attempts.get(ACKNOWLEDGED, 0)

    @property
    def failed(self) -> int:
        return sum(self.attempts.values()) - self.acknowledged

    def per_second(self, count: int) -> float:
        return count / self.seconds if self.seconds else 0.0


def series(
    window: Window, *, now: datetime, subscriber_id: int | None = None
) -> list[Bucket]:
    """The buckets of a window, the oldest first: of all subscribers, or of one. One
    statement."""
    length = float(window.span)
    buckets = {
        began_at: Bucket(
            began_at=began_at, seconds=min(length, (now - began_at).total_seconds())
        )
        for began_at in window.buckets(now)
    }
    rows = _rows(window, min(buckets), subscriber_id)
    for began_at, measure, label, count, seconds in rows:
        if began_at in buckets:
            _add(buckets[began_at], measure, label, count, seconds)
    return list(buckets.values())


def _rows(
    window: Window, since: datetime, subscriber_id: int | None
) -> QuerySet[Any, Any]:
    rows = Rollup.objects.filter(span=window.span, began_at__gte=since)
    if subscriber_id is not None:
        rows = rows.filter(subscriber_id=subscriber_id)
    groups = rows.exclude(measure=Measure.RUN_TIME).order_by()
    counted: QuerySet[Any, Any] = groups.values(
        "began_at", "measure", "label"
    ).annotate(total=Sum("count"), longest=Max("seconds"))
    return counted.values_list("began_at", "measure", "label", "total", "longest")


def _add(bucket: Bucket, measure: str, label: str, count: int, longest: float) -> None:
    match measure:
        case Measure.EVENTS:
            bucket.published += count
        case Measure.ATTEMPTS:
            bucket.attempts[label] = count
        case Measure.PUBLISH_TO_ACK:
            bucket.waits[label] = count
        case Measure.BACKLOG:
            bucket.backlog[label] = count
            bucket.oldest_seconds = max(bucket.oldest_seconds or 0.0, longest)


def acknowledged_by_minute(now: datetime) -> dict[int, list[int]]:
    """Primary key of a subscriber → events acknowledged in each of the last 60 minutes.

    One statement.
    """
    places = {at: place for place, at in enumerate(Window.HOUR.buckets(now))}
    rows = Rollup.objects.filter(
        span=Span.MINUTE,
        began_at__gte=min(places),
        measure=Measure.ATTEMPTS,
        label=ACKNOWLEDGED,
    )
    counts: defaultdict[int, list[int]] = defaultdict(lambda: [0] * len(places))
    for pk, began_at, count in rows.values_list("subscriber_id", "began_at", "count"):
        if began_at in places:
            counts[pk][places[began_at]] = count
    return counts


def percentile(counts: Mapping[str, int], share: float) -> float | None:
    """The seconds that this share of the events took at most, as Prometheus estimates
    it from a histogram; None without events. What is above the last bound counts as
    that bound."""
    cumulative = cumulated(counts, LABELS)
    total = cumulative[-1] if cumulative else 0
    if not total:
        return None
    rank = share * total
    place = min(bisect_left(cumulative, rank), len(BOUNDS) - 1)
    below = cumulative[place - 1] if place else 0
    lower, upper = (BOUNDS[place - 1] if place else 0.0), BOUNDS[place]
    within = cumulative[place] - below
    return lower + (upper - lower) * min(1.0, (rank - below) / within if within else 1)


def summed(histograms: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: defaultdict[str, int] = defaultdict(int)
    for counts in histograms:
        for label, count in counts.items():
            total[label] += count
    return dict(total)


def success_rate(buckets: Sequence[Bucket]) -> float | None:
    """The share of the ended attempts that were acknowledged; None without attempts."""
    total = sum(sum(each.attempts.values()) for each in buckets)
    return sum(each.acknowledged for each in buckets) / total if total else None
