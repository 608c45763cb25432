"""Step 2, route: give new events positions, and each matching subscriber a delivery.

One transaction under the head's lock. A subscriber's state decides dispatch, never
routing: a subscriber that is paused today is owed today's events.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import DatabaseError, OperationalError, connection
from django.db.models import DateTimeField

from router.conf import conf
from router.db.bulk_insert import Insert
from router.db.pipeline import commits, own_transaction, rows_of_planned
from router.db.plan_cache import PlanForgotten
from router.db.statements import Param, Statement
from router.flow.cursor import turn
from router.flow.cursor.filling import give_up_on_unfiltered
from router.flow.cursor.in_line import Row, first_of_their_keys
from router.flow.cursor.matching import Broken, Filters, Matching
from router.flow.dispatch.chunk import Chunk
from router.flow.route.batch import Batch, next_batch
from router.flow.route.behind import fall_behind
from router.flow.route.fast_path import (
    HasRoom,
    Owed,
    choose_fast_path,
    choose_rung,
    chunks_of,
    marked_until,
    turns_of,
)
from router.flow.route.head import MOVE, TRY_LOCK
from router.models import Delivery, EventRecord, Subscriber

logger = logging.getLogger(__name__)

#: A subscriber's primary key and a number of deliveries → whether these fit.
Fits = Callable[[int, int], bool]
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
    #: The positions that were given: those after `after`, up to `position`.
    after: int = 0
    position: int = 0
    #: Primary key of a streamed subscriber → the last position that it may want.
    wanted: Mapping[int, int] = field(default_factory=dict)
    #: Primary key of a subscriber → the deliveries that were made for it.
    made: Mapping[int, int] = field(default_factory=dict)

    @property
    def has_rest(self) -> bool:
        """Whether deliveries wait for the dispatcher's look."""
        return self.delivery_count > sum(len(chunk.ids) for chunk in self.chunks)


NOTHING = Routed(event_count=0, delivery_count=0, last_number=0, is_full=False)


def no_room(_: Subscriber) -> bool:
    """No queue is known to have room."""
    return False


def no_limit(_subscriber_id: int, _count: int) -> bool:
    """A subscriber gets a delivery of each event that it wants."""
    return True


def route_batch(
    *, after: int = 0, has_room: HasRoom = no_room, fits: Fits = no_limit
) -> Routed:
    """Route the next events above the number `after`, halving the batch on failure.

    An event whose deliveries can't be written must not stop those before it. What takes
    the fast path, where `has_room` says so, is marked, and the caller must send it.
    `fits` says whether so many deliveries more fit into a subscriber's window: one that
    has no room falls behind.
    Raises the failure when even a single event can't be routed.
    """
    limit = conf().route_limit
    while True:
        try:
            return _route(after, limit, has_room, fits)
        except OperationalError:
            raise
        except PlanForgotten:
            continue
        except DatabaseError:
            if limit == 1:
                raise
            limit = max(1, limit // 2)
            logger.warning("A batch could not be routed; trying %d at most", limit)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be written of a batch."""

    batch: Batch
    #: The last position that was given before, and the time by the database.
    position: int
    now: datetime
    owed: Sequence[Owed]
    #: Of subscribers: whose deliveries take the fast path, and who is rung for at once.
    fast_path: Collection[int]
    rung: Collection[int]
    #: Of subscribers: who has no room for its deliveries, and falls behind.
    full: Collection[int]
    wanted: Mapping[int, int]
    broken: Broken


def _route(after: int, delivery_limit: int, has_room: HasRoom, fits: Fits) -> Routed:
    with own_transaction() as owns_transaction:
        batch = next_batch(after, delivery_limit, owns_transaction=owns_transaction)
        if not (batch.head and batch.events):
            return NOTHING
        plan = _plan(batch, has_room, fits)
        chunks = _write(plan, owns_transaction=owns_transaction and not plan.broken)
        if plan.broken:
            give_up_on_unfiltered(plan.broken)
    return Routed(
        event_count=len(batch.events),
        delivery_count=len(plan.owed),
        last_number=batch.events[-1].number,
        is_full=batch.is_full,
        chunks=chunks,
        after=plan.position,
        position=plan.position + len(batch.events),
        wanted=plan.wanted,
        made=Counter(subscriber.pk for _, subscriber in plan.owed),
    )


def _plan(batch: Batch, has_room: HasRoom, fits: Fits) -> Plan:
    broken: Broken = {}
    [(position, now)] = TRY_LOCK.converted(batch.head)
    owed = list(_owed(batch.events, batch.by_row, broken))
    counts = Counter(subscriber.pk for _, subscriber in owed)
    full = {pk for pk, count in counts.items() if not fits(pk, count)}
    owed = [each for each in owed if each[1].pk not in full]
    broken = {key: error for key, error in broken.items() if key[1] not in full}
    wanted = _wanted(batch, position)
    return Plan(
        batch=batch,
        position=position,
        now=now,
        owed=owed,
        fast_path=() if broken else choose_fast_path(owed, batch.idle, has_room),
        rung=choose_rung(batch.streamed, wanted, has_room),
        wanted=wanted,
        full=full,
        broken=broken,
    )


def _wanted(batch: Batch, position: int) -> dict[int, int]:
    """Primary key of a streamed subscriber → the last of these events that it may want,
    by its position; whatever their filters say."""
    wanted: dict[int, int] = {}
    of_type: dict[str, list[int]] = {}
    for place, event in enumerate(batch.events, position + 1):
        if event.only_for_id is not None:
            wanted[event.only_for_id] = place
            continue
        if event.type not in of_type:
            of_type[event.type] = [
                each.pk for each in batch.streamed if each.asks_for(event.type)
            ]
        wanted.update(dict.fromkeys(of_type[event.type], place))
    return {each.pk: wanted[each.pk] for each in batch.streamed if each.pk in wanted}


def _write(plan: Plan, *, owns_transaction: bool) -> tuple[Chunk, ...]:
    """Write all of a batch; returns what is marked, and now to be sent."""
    events = plan.batch.events
    statements = [
        *([turn.mark(plan.rung)] if plan.rung else []),
        _positions(plan.position, events),
        MOVE.bound(position=plan.position + len(events)),
        *([fall_behind(plan.full, plan.position)] if plan.full else []),
        *_insertions(plan.owed, plan.fast_path, plan.now),
    ]
    results = rows_of_planned(
        statements,
        after=commits(owns_transaction),
        owns_transaction=owns_transaction,
    )
    deliveries = results[-1] if plan.fast_path else ()
    turns = results[0] if plan.rung else ()
    known = plan.batch.subscribers
    return (*turns_of(turns, known), *chunks_of(deliveries, known))


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
