"""Step 2, route: give new events positions, and each matching subscriber a delivery.

One transaction under the head's lock. A subscriber's state decides dispatch, never
routing: a subscriber that is paused today is owed today's events.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError, OperationalError, connection
from django.db.models import DateTimeField

from router.conf import conf
from router.contract.outcomes import Evidence
from router.db.bulk_insert import Insert
from router.db.pipeline import commits, own_transaction, rows_of_planned
from router.db.plan_cache import PlanForgotten
from router.db.statements import Param, Statement
from router.flow.dead_letter import give_up
from router.flow.dispatch.chunk import Chunk
from router.flow.route.batch import Batch, next_batch
from router.flow.route.fast_path import (
    HasRoom,
    Owed,
    choose_fast_path,
    chunks_of,
    marked_until,
)
from router.flow.route.head import MOVE, TRY_LOCK
from router.flow.route.in_line import Row, first_of_their_keys
from router.flow.route.matching import Broken, Filters, Matching
from router.models import Delivery, EventRecord, Reason, Subscriber

logger = logging.getLogger(__name__)

#: What differs between the deliveries of a batch → its type.
KINDS = {"event_id": "bigint", "subscriber_id": "bigint", "ordering_key": "text"}
NOW = Param("now", DateTimeField())
UNTIL = Param("until", DateTimeField())


@dataclass(frozen=True, kw_only=True)
class Routed:
    """The result of one batch."""

    event_count: int
    delivery_count: int
    last_number: int
    #: As large as it may be: more is likely to wait.
    is_full: bool
    #: What is marked already, and now to be sent.
    chunks: tuple[Chunk, ...] = ()

    @property
    def has_rest(self) -> bool:
        """Whether deliveries wait for the dispatcher's look."""
        return self.delivery_count > sum(len(chunk.ids) for chunk in self.chunks)


NOTHING = Routed(event_count=0, delivery_count=0, last_number=0, is_full=False)


def no_room(_: Subscriber) -> bool:
    """No queue is known to have room."""
    return False


def route_batch(*, after: int = 0, has_room: HasRoom = no_room) -> Routed:
    """Route the next events above the number `after`, halving the batch on failure.

    An event whose deliveries can't be written must not stop those before it. What takes
    the fast path, where `has_room` says so, is marked, and the caller must send it.
    Raises the failure when even a single event can't be routed.
    """
    limit = conf().route_limit
    while True:
        try:
            return _route(after, limit, has_room)
        except OperationalError:
            raise
        except PlanForgotten:
            continue
        except DatabaseError:
            if limit == 1:
                raise
            limit = max(1, limit // 2)
            logger.warning("A batch could not be routed; trying %d at most", limit)


def _route(after: int, delivery_limit: int, has_room: HasRoom) -> Routed:
    with own_transaction() as owns_transaction:
        batch = next_batch(after, delivery_limit, owns_transaction=owns_transaction)
        if not (batch.head and batch.events):
            return NOTHING
        broken: Broken = {}
        owed = list(_owed(batch.events, batch.subscribers, broken))
        fast_path = choose_fast_path(owed, batch.idle, has_room)
        if broken:
            fast_path, owns_transaction = set(), False
        marked = _write(batch, owed, fast_path, owns_transaction=owns_transaction)
        if broken:
            _give_up_on_unfiltered(broken)
    return Routed(
        event_count=len(batch.events),
        delivery_count=len(owed),
        last_number=batch.events[-1].number,
        is_full=batch.is_full,
        chunks=chunks_of(marked, batch.subscribers),
    )


def _write(
    batch: Batch,
    owed: Sequence[Owed],
    fast_path: Collection[int],
    *,
    owns_transaction: bool = False,
) -> Sequence[Any]:
    """Write all of a batch; returns the id and the subscriber of each delivery that
    takes the fast path."""
    [(position, now)] = TRY_LOCK.converted(batch.head)
    statements = [
        _positions(position, batch.events),
        MOVE.bound(position=position + len(batch.events)),
        *_insertions(owed, fast_path, now),
    ]
    results = rows_of_planned(
        statements,
        after=commits(owns_transaction),
        owns_transaction=owns_transaction,
    )
    return results[-1]


def _positions(last: int, events: Sequence[EventRecord]) -> Statement:
    """The statement that gives these events the positions after `last`."""
    # By number: what committed meanwhile, between these, has no deliveries yet.
    numbers = [event.number for event in events]
    given: str | list[int] = numbers
    numbered = "unnest(%s::bigint[]) WITH ORDINALITY AS new(value, place)"
    if connection.vendor != "postgresql":
        given = json.dumps(numbers)
        numbered = "(SELECT value, key + 1 AS place FROM json_each(%s)) AS new"
    return Statement(
        f'UPDATE "{EventRecord._meta.db_table}" '  # nosec B608  # names of our own
        f'SET "position" = %s + new.place FROM {numbered} WHERE "number" = new.value',
        [last, given],
    )


def _owed(
    events: Sequence[EventRecord], subscribers: Sequence[Subscriber], broken: Broken
) -> Iterator[Owed]:
    filters = Filters(subscribers)
    for event in filters.with_data(events):
        matching = Matching(event, filters, broken)
        for subscriber in subscribers:
            if matching.is_owed(subscriber):
                yield event, subscriber


def _insertions(
    owed: Sequence[Owed], fast_path: Collection[int], now: datetime
) -> Iterator[Statement]:
    """The statements that insert all that is owed; the last one returns the id and the
    subscriber of each delivery that takes the fast path."""
    waiting: list[Row] = []
    marked: list[Row] = []
    in_line: list[Row] = []
    for event, subscriber in owed:
        key = event.partitionkey if subscriber.is_ordered else ""
        rows = marked if subscriber.pk in fast_path else in_line if key else waiting
        rows.append((event.number, subscriber.pk, key))
    first, held = first_of_their_keys(in_line)
    if waiting or first:
        yield _WAITING.of([*waiting, *first], now=now)
    if held:
        yield _HELD.of(held, now=now)
    if marked:
        yield _MARKED.of(marked, now=now, until=marked_until(now))


def _give_up_on_unfiltered(broken: Broken) -> None:
    """A filter that raised decides nothing: an operator must decide."""
    for (number, subscriber_id), error in broken.items():
        delivery = Delivery.objects.get(event=number, subscriber=subscriber_id)
        evidence = Evidence("FilterFailed", type(error).__name__)
        give_up(delivery, reason=Reason.REJECTED, evidence=evidence)


_WAITING = Insert(Delivery, KINDS, lambda: {"due_at": NOW, "created_at": NOW})
_HELD = Insert(Delivery, KINDS, lambda: {"created_at": NOW})
_MARKED = Insert(
    Delivery,
    KINDS,
    lambda: {
        "due_at": NOW,
        "created_at": NOW,
        "dispatched_until": UNTIL,
        "dispatch_count": 1,
    },
    returning=["id", "subscriber_id"],
)
