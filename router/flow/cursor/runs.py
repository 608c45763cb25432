"""Runs: cursors that begin earlier, beside the live one, and have an end."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet, Value
from django.db.models.functions import Greatest

from router.models import Clock, Cursor, Run, RunState, Subscriber


def next_number(subscriber_id: int, *, above: int = 0) -> int:
    """The number of the next run, or resent event, of a subscriber; above this one.

    In the caller's transaction, which holds the head's lock.
    """
    rows = Subscriber.objects.filter(pk=subscriber_id)
    rows.update(last_run=Greatest("last_run", Value(above)) + 1)
    number: int = rows.values_list("last_run", flat=True).get()
    return number


def open_run(subscriber: Subscriber, *, start: int, end: int, **fields: Any) -> Run:
    """Begin a run over the events after `start`, up to `end`; `fields` are columns.

    In the caller's transaction, which holds the head's lock: pruning sees the cursor.
    """
    number = next_number(subscriber.pk)
    Cursor.objects.create(
        subscriber=subscriber, run=number, is_behind=True, start=start, position=start
    )
    columns = {"events": subscriber.events, "filter": subscriber.filter, **fields}
    run: Run = Run.objects.create(
        subscriber=subscriber, number=number, start=start, end=end, **columns
    )
    run.refresh_from_db()
    return run


def end_runs(runs: QuerySet[Run], state: RunState) -> int:
    """Say that these runs are over, and read by their cursors no more; returns how many
    were not over before."""
    ended = list(runs.values_list("pk", "subscriber_id", "number"))
    for _, subscriber_id, number in ended:
        cursors = Cursor.objects.filter(subscriber=subscriber_id, run=number)
        cursors.update(is_behind=False)
    rows = Run.objects.filter(pk__in=[pk for pk, *_ in ended]).open()
    return rows.update(state=state, finished_at=Clock())
