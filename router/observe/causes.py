"""The causes of the open failed tasks: how many each has, since when, and one of them.

The aggregations read an index of open failed tasks alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Min, Q
from django.db.models.functions import TruncHour
from django.utils import timezone

from router.models import Attempt, FailedTask, FailedTaskGroup
from router.observe.last_failure import printable_line, words_of

#: Causes that one look gives: those with the most failed tasks.
MAX_CAUSES = 100
TREND_HOURS = 24
HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Cause:
    """The open failed tasks of one subscriber that have one cause."""

    group: FailedTaskGroup
    open_count: int
    first_at: datetime
    last_at: datetime
    #: The newest of them, and what its receiver said.
    sample: FailedTask
    words: str
    #: How many of them were opened in each of the last hours, the present one last.
    trend: tuple[int, ...]


def open_causes(among: Q | None = None) -> list[Cause]:
    """The causes with open failed tasks, most first. Five statements.

    `among` is a condition on failed tasks.
    """
    counted = _counted(among)
    groups = [row["group"] for row in counted]
    known, trends = _groups(groups), _trends(groups)
    samples = _samples(row["newest"] for row in counted)
    words = _words(samples.values())
    return [
        Cause(
            group=known[row["group"]],
            open_count=row["open_count"],
            first_at=row["first_at"],
            last_at=row["last_at"],
            sample=samples[row["newest"]],
            words=words[row["newest"]],
            trend=trends[row["group"]],
        )
        for row in counted
        # It may have been pruned since the first statement.
        if row["newest"] in samples
    ]


def causes_of(delivery_ids: Collection[int]) -> dict[int, int]:
    """Key of a delivery → that of the cause of its open failed task; those without one
    are left out. One statement."""
    tasks = FailedTask.objects.open().filter(delivery__in=delivery_ids)
    return dict(tasks.exclude(group=None).values_list("delivery_id", "group_id"))


def words_of_task(task: FailedTask) -> str:
    """The answer of its last attempt, or its error. One statement."""
    return _words([task])[task.pk]


def _counted(among: Q | None) -> list[Any]:
    tasks = FailedTask.objects.open().filter(group__isnull=False)
    if among is not None:
        tasks = tasks.filter(among)
    rows = (
        tasks.order_by()
        .values("group")
        .annotate(
            open_count=Count("pk"),
            first_at=Min("opened_at"),
            last_at=Max("opened_at"),
            newest=Max("pk"),
        )
    )
    return list(rows.order_by("-open_count", "-newest")[:MAX_CAUSES])


def _groups(ids: Iterable[int]) -> Mapping[int, FailedTaskGroup]:
    rows = FailedTaskGroup.objects.select_related("subscriber")
    return rows.defer("subscriber__custom_headers").in_bulk(list(ids))


def _samples(ids: Iterable[int]) -> Mapping[int, FailedTask]:
    rows = FailedTask.objects.select_related("event").defer("traceback", "event__data")
    return rows.in_bulk(list(ids))


def _words(samples: Iterable[FailedTask]) -> Mapping[int, str]:
    samples = list(samples)
    deliveries = [task.delivery_id for task in samples]
    attempts = Attempt.objects.filter(delivery_id__in=deliveries).order_by("pk")
    last = {row.delivery_id: row for row in attempts.defer("traceback", "request")}
    return {task.pk: _words_of(task, last.get(task.delivery_id)) for task in samples}


def _words_of(task: FailedTask, last: Attempt | None) -> str:
    if last is not None and last.http_status is not None:
        return words_of(last)
    return printable_line(task.error) or task.get_reason_display()


def _trends(groups: Iterable[int]) -> Mapping[int, tuple[int, ...]]:
    now = timezone.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first = now - HOUR * (TREND_HOURS - 1)
    tasks = FailedTask.objects.open().filter(group__in=list(groups))
    hours: Any = (
        tasks.filter(opened_at__gte=first)
        .annotate(hour=TruncHour("opened_at", tzinfo=UTC))
        .order_by()
        .values_list("group", "hour")
        .annotate(count=Count("pk"))
    )
    by_hour = {(group, hour): count for group, hour, count in hours}
    every = [first + HOUR * number for number in range(TREND_HOURS)]
    return {
        group: tuple(by_hour.get((group, hour), 0) for hour in every)
        for group in groups
    }
