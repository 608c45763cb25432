"""For users' test suites: deliver what is due, here and now.

No broker, no worker, no dispatcher: the same code as theirs, called in turn. Tests with
real processes ask `is_settled`, `acknowledged` and `recorded` how far these are.

    def test_a_purchase_gives_points(db):
        publish("purchase.completed", data, source="/test")
        assert deliver_due() == 1
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.models import Count, Exists, F, Max, Min, Model, OuterRef, Q, Sum
from django.db.models.functions import Least
from django.utils import timezone

from router.db.patterns import within
from router.flow.cursor import runs_in_stream
from router.flow.cursor.turn import may_be_rung
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.stream import serve
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.heartbeats import alive
from router.flow.publish.publishing import publish
from router.flow.rollup import Rollups
from router.flow.route.batch import has_unrouted
from router.flow.route.crossing import cross_gap
from router.flow.route.routing import route_batch
from router.flow.route.run_windows import fill_runs, finish_runs
from router.flow.route.window import fill_windows
from router.models import (
    LIVE,
    Acknowledgement,
    Attempt,
    Clock,
    Cursor,
    Delivery,
    DeliveryState,
    EventRecord,
    Heartbeat,
    LogHead,
    Period,
    Run,
    Subscriber,
    Turn,
)
from router.operate.declared import register_declared
from router.operate.subscribers import create_subscriber, delete_subscriber
from router.registry import find, isolated

__all__ = [
    "Acknowledged",
    "Recorded",
    "acknowledged",
    "add_history",
    "count_log",
    "create_subscriber",
    "delete_subscriber",
    "deliver_due",
    "has_dispatcher",
    "is_settled",
    "open_deliveries",
    "isolated_subscribers",
    "recorded",
    "register_declared",
    "route",
    "skip_waits",
]

#: Copies made by one statement: each must end before PostgreSQL's statement timeout.
MAX_COPIES = 100_000


@contextmanager
def isolated_subscribers() -> Iterator[None]:
    """Within the block no subscriber is known but those that it declares.

    Call `register_declared()` after the declarations.
    """
    with isolated():
        for model in (Turn, Run, Cursor, Period, Subscriber):
            model._default_manager.all().delete()
        yield


def route() -> None:
    """Give every event its position, and to the subscribers that want it; and the next
    events to runs, which end where they have no more."""
    finish_runs()
    while has_unrouted():
        route_batch()
    fill_windows()
    fill_runs()
    if cross_gap():
        fill_windows()
        fill_runs()


def deliver_due() -> int:
    """Route and deliver until nothing is due; returns the attempts that were made.

    What a handler publishes on the way is delivered as well. A failed delivery waits
    as it would; `skip_waits` makes it due.
    """
    attempts = 0
    while True:
        route()
        rung = _above_cursors()
        for pk in rung:
            attempts += _served(pk)
        # Only now: serving a cursor may have opened a breaker.
        due = subscribers_due()
        if not (due or rung):
            return attempts
        for subscriber in due:
            chunk = mark_chunk(subscriber)
            if chunk is not None:
                deliver_chunk(subscriber.pk, chunk.ids)
                attempts += len(chunk.ids)


def _above_cursors() -> list[int]:
    """The streamed subscribers that may be served."""
    behind = Cursor.objects.filter(
        subscriber=OuterRef("pk"),
        run=LIVE,
        position__lt=LogHead.objects.values("position"),
    )
    runs_in_stream.look_again()
    with_run = runs_in_stream.subscribers_to_ring(runs_in_stream.known())
    free = may_be_rung().filter(Exists(behind) | Q(pk__in=with_run))
    names = dict(free.values_list("pk", "subscriber__name"))
    return [pk for pk, name in names.items() if find(name)]


def _served(subscriber_id: int) -> int:
    """Serve its cursor; returns how many events were acknowledged or set aside."""
    before = _attempts_of(subscriber_id)
    serve(subscriber_id)
    return _attempts_of(subscriber_id) - before


def _attempts_of(subscriber_id: int) -> int:
    rows = Acknowledgement.objects.filter(cursor__subscriber=subscriber_id)
    acknowledged: int = rows.aggregate(total=Sum("count"))["total"] or 0
    return (
        acknowledged
        + Attempt.objects.filter(delivery__subscriber=subscriber_id).count()
    )


def skip_waits() -> int:
    """Make every waiting delivery due now; returns how many waited.

    A receiver that is down, or asked for time, is tried now as well, and no rate is
    kept.
    """
    Subscriber.objects.filter(not_before__isnull=False).update(not_before=None)
    Subscriber.objects.filter(paced_until__isnull=False).update(paced_until=None)
    Subscriber.objects.filter(probe_at__isnull=False).update(probe_at=F("created_at"))
    Turn.objects.free().update(marked_until=None)
    Run.objects.filter(next_at__isnull=False).update(next_at=None)
    return Delivery.objects.filter(
        state=DeliveryState.PENDING, due_at__gt=timezone.now()
    ).update(due_at=Least(F("created_at"), Clock()), dispatched_until=None)


def is_settled() -> bool:
    """Whether every event is routed, every delivery done, given up or cancelled, and
    every run at its end or paused."""
    if has_unrouted() or Delivery.objects.open().exists():
        return False
    if Run.objects.active().exists():
        return False
    streamed = Subscriber.objects.known().filter(is_streamed=True)
    return not any(map(_is_behind, streamed))


def _is_behind(subscriber: Subscriber) -> bool:
    """Whether an event that it asks for lies above its cursor."""
    cursor = Cursor.objects.get(subscriber=subscriber, run=LIVE)
    above = EventRecord.objects.filter(position__gt=cursor.position)
    wanted = within("type", subscriber.events) & Q(only_for=None)
    return above.filter(wanted | Q(only_for=subscriber)).exists()


@dataclass(frozen=True)
class Acknowledged:
    """How many deliveries were acknowledged; without any there are no times."""

    count: int
    first_at: datetime | None
    last_at: datetime | None


def acknowledged(*, since: datetime | None = None) -> Acknowledged:
    """What was acknowledged after `since`, by the database's clock."""
    at = "acknowledged_at"
    rows = Delivery.objects.filter(state=DeliveryState.ACKNOWLEDGED)
    chunks = Acknowledgement.objects.all()
    if since is not None:
        rows = rows.filter(acknowledged_at__gt=since)
        chunks = chunks.filter(acknowledged_at__gt=since)
    ends = Min(at), Max(at)
    singly = rows.aggregate(Count("pk"), *ends).values()
    together = chunks.aggregate(Sum("count", default=0), *ends).values()
    counts, first, last = zip(singly, together, strict=True)
    return Acknowledged(
        sum(counts),
        min(filter(None, first), default=None),
        max(filter(None, last), default=None),
    )


@dataclass(frozen=True)
class Recorded:
    """How many events are in the log; without any there are no times."""

    count: int
    first_at: datetime | None
    last_at: datetime | None


def recorded(*, since: datetime | None = None) -> Recorded:
    """The events that were recorded after `since`, by the database's clock."""
    rows = EventRecord.objects.all()
    if since is not None:
        rows = rows.filter(recorded_at__gt=since)
    at = "recorded_at"
    return Recorded(*rows.aggregate(Count("pk"), Min(at), Max(at)).values())


def open_deliveries() -> int:
    """How many deliveries are not over: they wait, or are at work."""
    return Delivery.objects.open().count()


def has_dispatcher() -> bool:
    """Whether a dispatcher lives, by the heartbeats."""
    return any(beat.kind == Heartbeat.Kind.DISPATCHER for beat in alive())


def add_history(count: int, type: str, data: object) -> None:
    """Make the log long: deliver one new event, and copy it and its deliveries.

    The database makes the `count` copies, a million in seconds. Nothing else may
    publish meanwhile.
    """
    number = publish(type, data, source="/history").number
    deliver_due()
    position = EventRecord.objects.values_list("position", flat=True).get(number=number)
    for first in range(1, count + 1, MAX_COPIES):
        last = min(first + MAX_COPIES - 1, count)
        _copy_event(number, position or 0, first, last)
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [EventRecord]):
            cursor.execute(statement)


def count_log() -> None:
    """Count the log for screens and metrics, as a dispatcher does beside its work."""
    rollups = Rollups()
    while rollups.step():
        pass


@transaction.atomic
def _copy_event(number: int, position: int, first: int, last: int) -> None:
    _copy(
        EventRecord,
        f"number = {number}",
        (first, last),
        number="number + n",
        position="position + n",
        event_id="event_id || '-' || n",
    )
    _copy(Delivery, f"event_id = {number}", (first, last), event_id="event_id + n")
    _copy_acknowledgements(position, first, last)
    count = last - first + 1
    Cursor.objects.filter(position__gte=position).update(position=F("position") + count)
    LogHead.objects.update(position=F("position") + count)


def _copy_acknowledgements(position: int, first: int, last: int) -> None:
    """Acknowledge the copies in the stream, where the event was."""
    rows = Acknowledgement.objects.filter(first__lte=position, last=position)
    for row in rows:
        row.pk = None
        row.first, row.last = position + first, position + last
        row.count = last - first + 1
        row.save(force_insert=True)


def _copy(
    model: type[Model], condition: str, copies: tuple[int, int], **changed: str
) -> None:
    """Insert the chosen rows once more for each number `n` of `copies`."""
    fields: Any = model._meta.concrete_fields
    columns = {
        field.column: changed.get(field.column, field.column)
        for field in fields
        if field.column in changed or not field.primary_key
    }
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE copies(n) AS (SELECT %s UNION ALL "  # nosec B608 # no input
            "SELECT n + 1 FROM copies WHERE n < %s) "
            f"INSERT INTO {table} ({', '.join(columns)}) "
            f"SELECT {', '.join(columns.values())} FROM {table}, copies "
            f"WHERE {condition}",
            copies,
        )
