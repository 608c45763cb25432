"""An event that can't be settled in its turn gets a delivery; the cursor goes on."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from django.db import transaction

from router.conf import conf
from router.contract.errors import LeaseLost
from router.contract.outcomes import Dead, Evidence, Retry
from router.db.statements import changed
from router.flow.cursor import turn
from router.flow.cursor.asking import Asking
from router.flow.cursor.filling import give_up_on_unfiltered
from router.flow.cursor.giving import given
from router.flow.cursor.limit import stop_if_full
from router.flow.cursor.matching import Broken
from router.flow.cursor.reading import Chunk
from router.flow.dead_letter import give_up
from router.flow.deliver.releasing import MAX_UNCOUNTED_WAIT_SECONDS
from router.flow.deliver.settling import settle_failure
from router.flow.deliver.stream_settling import fences, given_of
from router.flow.lease import Claim
from router.models import (
    LIVE,
    Attempt,
    AttemptResult,
    Clock,
    Cursor,
    Delivery,
    DeliveryState,
    EventRecord,
    Origin,
    Reason,
    Run,
    Subscriber,
    Turn,
)

#: Passing errors in a row, from one position, before each event goes alone; and of one
#: that is alone, before it is set aside.
MAX_TROUBLES = 3
RAN_OUT = Evidence("The lease ran out", "the worker died, hung or was cut off.")


def set_aside(
    chunk: Chunk, outcome: Retry | Dead, *, run_ms: float, is_last: bool
) -> bool:
    """Give the chunk's one event a delivery that has failed like this, and move the
    cursor to the chunk's end: all in one transaction. `is_last` ends the lease.

    Returns whether to stop: the receiver is to be left alone now, or has so many open
    deliveries that its cursor stands still. Raises `LeaseLost`.
    """
    with transaction.atomic():
        _move(chunk, is_last=is_last)
        row = _delivery_of(
            chunk,
            state=DeliveryState.LEASED,
            lease_token=chunk.token,
            leased_until=Clock() + timedelta(seconds=conf().lease_seconds),
            attempts=1,
        )
        claim = Claim(subscriber=chunk.subscriber, token=chunk.token, deliveries=(row,))
        is_left_alone = settle_failure(claim, outcome, run_ms=run_ms)
        # What is given up at once is no open delivery.
        is_open = isinstance(outcome, Retry)
        return (is_open and stop_if_full(chunk.subscriber)) or is_left_alone


def give_up_unfiltered(chunk: Chunk, error: Exception, *, is_last: bool) -> None:
    """Give up the chunk's one event, whose filter raised, and move the cursor.

    The receiver was never asked: its breaker learns nothing. Raises `LeaseLost`.
    """
    with transaction.atomic():
        _move(chunk, is_last=is_last)
        evidence = Evidence("FilterFailed", type(error).__name__)
        give_up(_delivery_of(chunk), reason=Reason.REJECTED, evidence=evidence)


def _delivery_of(chunk: Chunk, **columns: Any) -> Delivery:
    [event] = chunk.events
    row: Delivery = Delivery.objects.create(
        event_id=event.number,
        subscriber=chunk.subscriber,
        run=chunk.run.number if chunk.run else LIVE,
        origin=chunk.run.kind if chunk.run else Origin.LIVE,
        due_at=Clock(),
        created_at=Clock(),
        **columns,
    )
    return row


def note_trouble(chunk: Chunk, *, is_session_lost: bool) -> None:
    """End the lease after a passing error of the database: nothing counts as failed.

    The events come again soon, each alone after three such errors in a row; the one
    that then ends so three times more is set aside, due again, or it would stop the
    stream for ever. With what a session was lost may have made the database crash: that
    is as if the worker had vanished.
    """
    pause = timedelta(
        seconds=random.uniform(0.1, MAX_UNCOUNTED_WAIT_SECONDS)  # nosec B311  # jitter
    )
    with transaction.atomic():
        row = Turn.objects.select_for_update().filter(
            pk=chunk.subscriber.pk, token=chunk.token
        ).first()  # fmt: skip
        if row is None:
            return
        if is_session_lost:
            end_lease(row)
        else:
            _count_trouble(row)
        Turn.objects.filter(pk=row.pk).update(marked_until=Clock() + pause)


def _count_trouble(row: Turn) -> None:
    cursor = _cursor_of(row)
    troubles = cursor.troubles + 1
    if troubles >= 2 * MAX_TROUBLES and _is_one_left(row, cursor):
        _set_aside_unanswered(row, cursor, vanished=0)
    else:
        alone_to = cursor.alone_to
        if troubles >= MAX_TROUBLES:
            alone_to = max(alone_to, _leased_to(cursor))
        _of(row).update(troubles=troubles, alone_to=alone_to)
    _free(row)


def end_lease(row: Turn) -> None:
    """End a lease whose worker vanished, in the transaction that locked the Turn.

    From now on each event that was under it goes alone. The one that was alone already
    is a suspect: it gets a delivery, and the cursor goes on.
    """
    cursor = _cursor_of(row)
    if _is_one_left(row, cursor):
        _set_aside_unanswered(row, cursor, vanished=1)
    elif row.leased_count:
        _of(row).update(alone_to=max(cursor.alone_to, _leased_to(cursor)))
    _free(row)


def _set_aside_unanswered(row: Turn, cursor: Cursor, *, vanished: int) -> None:
    """Set aside the event at `leased_to`, which was begun and never answered; the
    cursor passes it without a delivery where its filter rejects it."""
    subscriber = Subscriber.objects.get(pk=row.pk)
    run = Run.objects.filter(subscriber=row.pk, number=row.run).first()
    event = EventRecord.objects.defer("data").get(position=cursor.leased_to)
    asking = Asking.of_run(subscriber, run) if run else Asking.of(subscriber)
    broken: Broken = {}
    if list(asking.owed([event], broken)):
        # Where the filter raises, no handler was begun.
        counts = {} if broken else {"attempts": 1, "vanished": vanished}
        origin = run.kind if run else Origin.LIVE
        _add_delivery(event, subscriber, run=row.run, origin=origin, **counts)
        give_up_on_unfiltered(broken, run=row.run)
        if run is not None:
            events = [(event.source, event.event_id)]
            changed(given(run.pk, run.rate_per_second, events))
    _of(row).update(position=cursor.leased_to, troubles=0)
    stop_if_full(subscriber)


def _add_delivery(
    event: EventRecord, subscriber: Subscriber, *, run: int, **columns: Any
) -> None:
    now = {"due_at": Clock(), "created_at": Clock()}
    delivery, is_new = Delivery.objects.get_or_create(
        event=event, subscriber=subscriber, run=run, defaults={**columns, **now}
    )
    if is_new and columns.get("vanished"):
        Attempt.of(delivery, AttemptResult.VANISHED, RAN_OUT).save(force_insert=True)


def _is_one_left(row: Turn, cursor: Cursor) -> bool:
    """Whether one event alone was under the lease, and is not settled."""
    return row.leased_count == 1 and cursor.position < _leased_to(cursor)


def _move(chunk: Chunk, *, is_last: bool) -> None:
    """Raises `LeaseLost`."""
    if sum(map(changed, fences(chunk, is_last=is_last))) != 2:
        raise LeaseLost
    if chunk.run is not None:
        changed(given_of(chunk.run, chunk.events))


def _free(row: Turn) -> None:
    Turn.objects.filter(pk=row.pk).update(**turn.FREE)


def _cursor_of(row: Turn) -> Cursor:
    cursor: Cursor = _of(row).get()
    return cursor


def _of(row: Turn) -> Any:
    return Cursor.objects.filter(subscriber=row.pk, run=row.run)


def _leased_to(cursor: Cursor) -> int:
    return cursor.position if cursor.leased_to is None else cursor.leased_to
