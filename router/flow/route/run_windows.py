"""Gives the events of runs deliveries, as there is room, and says that runs are over.

A run has a window of its own, a small one: what is live must not wait behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery

from router.conf import conf
from router.contract.times import format_time
from router.db.statements import SUBSCRIBER, Select
from router.flow.cursor.at_gap import IS_BESIDE_GAP
from router.flow.cursor.giving import at_rate
from router.flow.cursor.limit import AGAIN, notify_full, open_count
from router.flow.cursor.run_filling import fill_run
from router.flow.cursor.runs import end_runs
from router.flow.publish.publishing import publish_notice
from router.flow.route.head import lock_head
from router.models import (
    LIVE,
    Clock,
    Cursor,
    Delivery,
    DeliveryQuerySet,
    DeliveryState,
    Run,
    RunState,
    Subscriber,
)

COMPLETED = "router.backfill.completed"
#: Deliveries of a run that may go now; it gets more below half of them.
RUN_WINDOW = 200
CROWDED = 0.5


def run_window() -> int:
    """How many deliveries of a run may go now."""
    return min(RUN_WINDOW, conf().window)


def fill_runs() -> int:
    """Give the next events of active runs deliveries, where they get deliveries and
    have room; returns how many."""
    return _fill_all(_WITH_ROOM.rows(), run_window())


def fill_runs_of(subscriber_id: int, *, most: int) -> int:
    """`fill_runs` for one subscriber, which takes so many at once."""
    runs = _OF_ONE.rows(subscriber_id=subscriber_id)
    return _fill_all(runs, max(run_window(), min(most, conf().window)))


def finish_runs() -> int:
    """End the runs whose every event is settled, each with a notice; returns how many
    there were."""
    return sum(_finish(pk) for (pk,) in _AT_THE_END.rows())


def _fill_all(runs: Iterable[Any], window: int) -> int:
    return sum(_fill(run_id, only_failed, window) for run_id, only_failed in runs)


@transaction.atomic
def _fill(run_id: int, is_only_failed: bool, window: int) -> int:
    if is_only_failed:
        # What is dead gets its place in the order again.
        lock_head()
    cursor = _locked_cursor(run_id)
    # Read once the cursor is locked: cancelling the run, and an edit of the subscriber,
    # wait for that lock.
    run = Run.objects.active().filter(pk=run_id).first()
    if cursor is None or run is None:
        return 0
    subscriber = Subscriber.objects.known().filter(pk=run.subscriber_id).first()
    if subscriber is None:
        return 0
    ready = _of_run(run).due()[:window].count()
    open_before = open_count(subscriber.pk)
    free = conf().max_open - open_before
    room = at_rate(run.rate_per_second, min(window - ready, free))
    made = fill_run(cursor, subscriber, run, limit=room) if room > 0 else 0
    if open_before + made > conf().max_open * AGAIN:
        live = Cursor.objects.get(subscriber=subscriber, run=LIVE)
        notify_full(subscriber, live.position)
    return made


def _locked_cursor(run_id: int) -> Cursor | None:
    of_run = Run.objects.filter(
        pk=run_id, subscriber=OuterRef("subscriber"), number=OuterRef("run")
    )
    rows = Cursor.objects.filter(Exists(of_run), is_behind=True)
    return rows.select_for_update(skip_locked=True).first()


@transaction.atomic
def _finish(run_id: int) -> int:
    """Whether it was active until now."""
    rows = Run.objects.active().filter(pk=run_id)
    if not end_runs(rows, RunState.COMPLETE):
        return 0
    run = Run.objects.select_related("subscriber").get(pk=run_id)
    name, title = run.subscriber.name, run.subscriber.title
    finished_at = run.finished_at or run.created_at
    publish_notice(
        COMPLETED,
        {
            "subscriber": {"name": name, "title": title},
            "run": run.number,
            "kind": run.kind,
            "first": run.start + 1,
            "last": run.end,
            "count": run.count,
            # Beyond what other languages hold in a number.
            "digest": f"{run.digest:016x}",
            "began_at": format_time(run.created_at),
            "seconds": _seconds(run.created_at, finished_at),
        },
        id=f"run-complete-{run.subscriber_id}-{run.number}",
        subject=name,
    )
    return 1


def _seconds(began_at: datetime, ended_at: datetime) -> float:
    return round((ended_at - began_at).total_seconds(), 3)


def _of_run(run: Run) -> DeliveryQuerySet:
    return Delivery.objects.filter(subscriber=run.subscriber_id, run=run.number)


def _with_position() -> Any:
    """Active runs of subscribers that are not deleted, with their positions."""
    known = Subscriber.objects.known().filter(pk=OuterRef("subscriber"))
    return Run.objects.active().with_position().filter(Exists(known))


def _fillable() -> Any:
    """Active runs that have more, and whose subscribers are not at the limit."""
    is_by_row = (
        Q(subscriber__is_streamed=False) | Q(only_failed=True) | Q(chosen__isnull=False)
    )
    is_time = Q(next_at__isnull=True) | Q(next_at__lte=Clock())
    return (
        _with_position()
        .filter(is_by_row, is_time, IS_BESIDE_GAP, position__lt=F("end"))
        .alias(open=_open_beyond(conf().max_open * AGAIN))
        .filter(open__isnull=True)
        .order_by("pk")
        .values_list("pk", "only_failed")
    )


def _with_room() -> Any:
    of_run = Delivery.objects.filter(
        subscriber=OuterRef("subscriber_id"), run=OuterRef("number")
    )
    full = int(run_window() * CROWDED)
    ready = of_run.due().order_by("due_at", "id").values("pk")[full : full + 1]
    return _fillable().alias(ready=Subquery(ready)).filter(ready__isnull=True)


def _open_beyond(place: float) -> Subquery:
    rows = Delivery.objects.filter(
        subscriber=OuterRef("subscriber_id"), state=DeliveryState.PENDING
    )
    nth = rows.order_by("due_at", "id").values("pk")[int(place) : int(place) + 1]
    return Subquery(nth)


def _at_the_end() -> Any:
    of_run = Delivery.objects.filter(
        subscriber=OuterRef("subscriber_id"), run=OuterRef("number")
    )
    pending = of_run.filter(state=DeliveryState.PENDING).order_by("due_at", "id")
    leased = of_run.leased().next_end()
    return (
        _with_position()
        .filter(position__gte=F("end"))
        .alias(pending=Subquery(pending.values("pk")[:1]), leased=Subquery(leased))
        .filter(pending__isnull=True, leased__isnull=True)
        .order_by("pk")
        .values_list("pk")
    )


_WITH_ROOM = Select(_with_room)
_OF_ONE = Select(lambda: _fillable().filter(subscriber=SUBSCRIBER))
_AT_THE_END = Select(_at_the_end)
