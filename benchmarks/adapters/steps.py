"""A long log, and how long the dispatcher's steps take beside it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import Model
from django.utils import timezone

from benchmarks.project.handler import COUNT, TYPE
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.route.batch import has_unrouted
from router.flow.sweep import sweep
from router.models import Delivery, DeliveryState, EventRecord, LogHead, Subscriber
from router.operate.declared import register_declared

Told = dict[str, Any]

KNOWN_RUN_MS = 0.1
BATCH = 1000


def lengthen(options: argparse.Namespace) -> Told:
    """`--count` deliveries that are acknowledged for long, `--first` that are due."""
    register_declared()
    with connection.cursor() as cursor:
        # Ten million rows take their time.
        cursor.execute("SET statement_timeout TO 0")
    for count, is_due in ((options.count, False), (options.first, True)):
        _add(count // COUNT, is_due=is_due)
    # As it is known after some work: whole chunks are marked.
    Subscriber.objects.update(mean_run_ms=KNOWN_RUN_MS)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    return {}


def outlive(options: argparse.Namespace) -> Told:
    """`--count` events, acknowledged for one of `--first` deleted subscribers each."""
    Subscriber.objects.bulk_create(
        Subscriber(name=f"deleted-{n}", title="", deleted_at=timezone.now())
        for n in range(options.first)
    )
    each = f"s.deleted_at IS NOT NULL AND s.id % {options.first} = n % {options.first}"
    _add(options.count, is_due=False, owed_to=each)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    return {}


def _add(
    event_count: int, *, is_due: bool, owed_to: str = "s.deleted_at IS NULL"
) -> None:
    start = EventRecord.objects.count()
    places = f"generate_series({start + 1}, {start + event_count}) AS n"
    _insert(EventRecord, _event_values(), places)
    _insert(
        Delivery,
        _delivery_values(is_due=is_due),
        f"{places}, router_subscriber AS s WHERE {owed_to}",
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('router_eventrecord', 'number'),"
            " GREATEST(1, (SELECT max(number) FROM router_eventrecord)))"
        )
    LogHead.objects.update(position=start + event_count)


def _event_values() -> dict[str, str]:
    return {
        "number": "n",
        "position": "n",
        "event_id": "'old-' || n",
        "source": "'/old'",
        "type": f"'{TYPE}'",
        "time": "now()",
        # What the handlers expect.
        "data": """'{"number": 0, "at_ns": 0}'""",
        "size_bytes": "26",
    }


def _delivery_values(*, is_due: bool) -> dict[str, str]:
    # Routed in batches, whose deliveries are due at one moment.
    past = f"now() - interval '1 day' + (n / {BATCH}) * interval '1 ms'"
    settled = {"state": "'ACKNOWLEDGED'", "acknowledged_at": past, "attempts": "1"}
    return {
        "event_id": "n",
        "subscriber_id": "s.id",
        "due_at": past,
        "created_at": past,
        **({} if is_due else settled),
    }


def _insert(model: type[Model], given: dict[str, str], rows: str) -> None:
    """Rows in one statement; columns that are not given take the model's default."""
    values = {**_defaults(model, without=given), **given}
    columns = ", ".join(values)
    chosen = ", ".join(values.values())
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({columns})"
            f" SELECT {chosen} FROM {rows}"
        )


def _defaults(model: type[Model], *, without: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    fields: Any = model._meta.concrete_fields
    for field in fields:
        is_left = field.primary_key or field.null or field.has_db_default()
        if field.column in without or is_left:
            continue
        value = field.get_default()
        is_text = not isinstance(value, bool | int | float)
        text = "{}" if value == {} else str(value)
        found[field.column] = f"'{text}'" if is_text else str(value)
    return found


def turn_times(options: argparse.Namespace) -> Told:
    """Milliseconds of each step of a turn, `--count` times."""
    last = EventRecord.objects.count()
    row = Subscriber.objects.known().all()[0]
    steps: dict[str, Callable[[], object]] = {
        "look_ms": lambda: has_unrouted(after=max(0, last - 100)),
        "full_look_ms": has_unrouted,
        "due_ms": lambda: subscribers_due(),
        "mark_ms": lambda: mark_chunk(row),
        "sweep_ms": sweep,
    }
    told = {
        name: [_timed(step) for _ in range(options.count)]
        for name, step in steps.items()
    }
    # What was marked is on its way to nobody.
    marked = Delivery.objects.filter(state=DeliveryState.PENDING)
    marked.filter(dispatched_until__isnull=False).update(
        dispatched_until=None, dispatch_count=0
    )
    return told


def _timed(step: Callable[[], object]) -> float:
    began_at = time.perf_counter()
    step()
    return (time.perf_counter() - began_at) * 1000


ACTS: dict[str, Callable[[argparse.Namespace], Told]] = {
    "lengthen": lengthen,
    "outlive": outlive,
    "turn_times": turn_times,
}
