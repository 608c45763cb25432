"""Step 2, route: give new events positions, and each matching subscriber a delivery.

One transaction under the head's lock. A subscriber's state decides dispatch, never
routing: a subscriber that is paused today is owed today's events.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import DatabaseError, OperationalError, connection

from router.conf import conf
from router.db.pipeline import commits, own_transaction, rows_of_planned
from router.db.plan_cache import PlanForgotten
from router.db.statements import Statement
from router.flow.cursor import turn
from router.flow.cursor.filling import give_up_on_unfiltered
from router.flow.cursor.insertions import Owed, insertions
from router.flow.cursor.matching import Broken, Filters, Matching
from router.flow.cursor.streamed import Streamed
from router.flow.dispatch.chunk import Chunk
from router.flow.route.batch import Batch, next_batch
from router.flow.route.behind import fall_behind
from router.flow.route.head import MOVE
from router.flow.route.wanting import HasRoom, choose_rung, turns_of, wanted_to
from router.models import EventRecord, Subscriber
from router.tracing.spans import note_routed

logger = logging.getLogger(__name__)

#: A subscriber's primary key and a number of deliveries → whether these fit.
Fits = Callable[[int, int], bool]


@dataclass(frozen=True, kw_only=True)
class Routed:
    """The result of one batch."""

    event_count: int
    delivery_count: int
    last_number: int
    #: As large as it may be: more is likely to wait.
    is_full: bool
    #: The streamed subscribers that are marked already, and now to be sent a message.
    chunks: tuple[Chunk, ...] = ()
    #: The positions that were given: those after `after`, up to `position`.
    after: int = 0
    position: int = 0
    #: Primary key of a streamed subscriber → the last position that it may want.
    wanted: Mapping[int, int] = field(default_factory=dict)
    #: Primary key of a subscriber → the deliveries that were made for it.
    made: Mapping[int, int] = field(default_factory=dict)
    #: A window had no room, and its subscriber fell behind.
    is_any_full: bool = False


NOTHING = Routed(event_count=0, delivery_count=0, last_number=0, is_full=False)


def no_room(_: Subscriber) -> bool:
    """No queue is known to have room."""
    return False


def no_limit(_subscriber_id: int, _count: int) -> bool:
    """A subscriber gets a delivery of each event that it wants."""
    return True


def route_batch(
    *,
    after: int = 0,
    has_room: HasRoom = no_room,
    fits: Fits = no_limit,
    streamed: Streamed | None = None,
) -> Routed:
    """Route the next events above the number `after`, halving the batch on failure.

    An event whose deliveries can't be written must not stop those before it. Streamed
    subscribers that want an event are marked where `has_room` says so, and the caller
    must send them a message. `fits` says whether so many deliveries more fit into a
    subscriber's window: one that has no room falls behind. `streamed` is what the
    caller keeps from batch to batch; without it all subscribers are read. Raises the
    failure when even a single event can't be routed.
    """
    limit = conf().route_limit
    streamed = streamed or Streamed()
    while True:
        try:
            return _route(after, limit, has_room, fits, streamed)
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
    #: The last position that was given before.
    position: int
    owed: Sequence[Owed]
    #: Streamed subscribers that are rung for at once.
    rung: Sequence[Subscriber]
    #: Primary keys of subscribers whose windows have no room: they fall behind.
    full: Collection[int]
    wanted: Mapping[int, int]
    broken: Broken


def _route(
    after: int, delivery_limit: int, has_room: HasRoom, fits: Fits, streamed: Streamed
) -> Routed:
    began_ns = time.time_ns()
    with own_transaction() as owns_transaction:
        batch = next_batch(
            after, delivery_limit, streamed, owns_transaction=owns_transaction
        )
        if not (batch.head and batch.events):
            return NOTHING
        plan = _plan(batch, has_room, fits, streamed)
        chunks = _write(plan, owns_transaction=owns_transaction and not plan.broken)
        if plan.broken:
            give_up_on_unfiltered(plan.broken)
    note_routed(batch.events, began_ns=began_ns)
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
        is_any_full=bool(plan.full),
    )


def _plan(batch: Batch, has_room: HasRoom, fits: Fits, streamed: Streamed) -> Plan:
    broken: Broken = {}
    [(position,)] = batch.head
    owed = list(_owed(batch.events, batch.receiving, broken))
    counts = Counter(subscriber.pk for _, subscriber in owed)
    full = {pk for pk, count in counts.items() if not fits(pk, count)}
    owed = [each for each in owed if each[1].pk not in full]
    broken = {key: error for key, error in broken.items() if key[1] not in full}
    wanted = wanted_to(batch, position, streamed)
    return Plan(
        batch=batch,
        position=position,
        owed=owed,
        rung=choose_rung(streamed.subscribers(wanted), has_room),
        wanted=wanted,
        full=full,
        broken=broken,
    )


def _write(plan: Plan, *, owns_transaction: bool) -> tuple[Chunk, ...]:
    """Write all of a batch; returns what is marked, and now to be sent."""
    events = plan.batch.events
    statements = [
        *([turn.mark(each.pk for each in plan.rung)] if plan.rung else []),
        _positions(plan.position, events),
        MOVE.bound(position=plan.position + len(events)),
        *([fall_behind(plan.full, plan.position)] if plan.full else []),
        *insertions(plan.owed),
    ]
    results = rows_of_planned(
        statements,
        after=commits(owns_transaction),
        owns_transaction=owns_transaction,
    )
    return turns_of(results[0], plan.rung) if plan.rung else ()


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
