"""Step 2, route: positions to new events, a delivery to each matching subscriber.

One transaction under the head's lock. A subscriber's state decides dispatch, never
routing: whoever is paused today is owed today's events.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models import BigIntegerField, QuerySet

from router.conf import conf
from router.contract.outcomes import Evidence
from router.flow.at_once import end_of, is_outermost, rows_of_all, rows_of_first
from router.flow.chunk import Chunk
from router.flow.giving_up import give_up
from router.flow.head import MOVE, TRY_LOCK
from router.flow.inserting import insertion
from router.flow.matching import Broken, Matching
from router.flow.prepared import Later, Select, Statement
from router.flow.straight import (
    IDLE,
    HasRoom,
    Owed,
    chunks_of,
    go_straight,
    marked,
)
from router.models import Delivery, EventRecord, Reason, Subscriber

logger = logging.getLogger(__name__)

AFTER = Later("after", BigIntegerField())
#: How many subscribers there were at the last batch of this process.
_known_count = 1
#: What differs between the deliveries of a batch → its type.
KINDS = {"event_id": "bigint", "subscriber_id": "bigint", "ordering_key": "text"}


@dataclass(frozen=True, kw_only=True)
class Routed:
    """What one batch came to."""

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


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The next events, and all that is needed to route them."""

    head: Sequence[Any]
    subscribers: Sequence[Subscriber]
    #: Of subscribers: who has nothing due or under way.
    idle: Collection[int]
    events: Sequence[EventRecord]
    is_full: bool

    def routed(self, owed: Sequence[Owed], chunks: tuple[Chunk, ...]) -> Routed:
        return Routed(
            event_count=len(self.events),
            delivery_count=len(owed),
            last_number=self.events[-1].number,
            is_full=self.is_full,
            chunks=chunks,
        )


NOTHING = Routed(event_count=0, delivery_count=0, last_number=0, is_full=False)


def has_unrouted(*, after: int = 0) -> bool:
    """Whether an event above the number `after` waits; takes no lock."""
    return bool(_LOOK.rows(after=after))


def nowhere(_: Subscriber) -> bool:
    """No queue is known to have room."""
    return False


def route_batch(*, after: int = 0, has_room: HasRoom = nowhere) -> Routed:
    """Route the next events above the number `after`, halving the batch on failure.

    An event whose deliveries can't be written must not stop those before it. What goes
    straight out, where `has_room` says so, is marked, and then the caller's to send.
    Raises the failure when even a single event can't be routed.
    """
    limit = conf().route_limit
    while True:
        try:
            return _route(after, limit, has_room)
        except OperationalError:
            raise
        except DatabaseError:
            if limit == 1:
                raise
            limit = max(1, limit // 2)
            logger.warning("A batch could not be routed; trying %d at most", limit)


def _route(after: int, delivery_limit: int, has_room: HasRoom) -> Routed:
    is_last = is_outermost()
    with transaction.atomic():
        batch = _read(after, delivery_limit)
        if not (batch.head and batch.events):
            return NOTHING
        broken: Broken = {}
        owed = list(_owed(batch.events, batch.subscribers, broken))
        straight = go_straight(owed, batch.idle, has_room)
        if broken:
            straight, is_last = set(), False
        gone = _write(batch, owed, straight, is_last=is_last)
        if broken:
            _give_up_on_unfiltered(broken)
    return batch.routed(owed, chunks_of(gone, batch.subscribers))


def _read(after: int, delivery_limit: int) -> Batch:
    """What is to be routed next, and to whom; no head while another routes."""
    global _known_count  # noqa: PLW0603 - a guess, which only saves a round trip
    guess = max(1, delivery_limit // max(1, _known_count))
    first = _first_unrouted(guess)
    statements = (TRY_LOCK, _SUBSCRIBERS, IDLE)
    head, found, idle, unrouted = rows_of_first(
        [*(one.bound() for one in statements), first.bound(after=after)]
    )
    subscribers = _SUBSCRIBERS.as_models(found)
    _known_count = len(subscribers)
    limit = max(1, delivery_limit // max(1, len(subscribers)))
    return Batch(
        head=head,
        subscribers=subscribers,
        idle={pk for (pk,) in idle},
        events=first.as_models(unrouted)[:limit],
        is_full=len(unrouted) >= min(limit, guess),
    )


def _write(
    batch: Batch,
    owed: Sequence[Owed],
    straight: Collection[int],
    *,
    is_last: bool = False,
) -> Sequence[Any]:
    """All of a batch; returns the ids of what goes straight out, with its
    subscribers'."""
    [(position, now)] = TRY_LOCK.converted(batch.head)
    statements = [
        _positions(position, batch.events),
        MOVE.bound(position=position + len(batch.events)),
        *_insertions(owed, straight, now),
    ]
    found = rows_of_all([*statements, *end_of(is_last=is_last)])
    return found[len(statements) - 1]


def _unrouted(after: Any) -> QuerySet[EventRecord]:
    return EventRecord.objects.filter(position__isnull=True, number__gt=after)


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
        f'UPDATE "{EventRecord._meta.db_table}" '  # noqa: S608 - names of our own
        f'SET "position" = %s + new.place FROM {numbered} WHERE "number" = new.value',
        [last, given],
    )


def _owed(
    events: Iterable[EventRecord], subscribers: Sequence[Subscriber], broken: Broken
) -> Iterator[Owed]:
    for event in events:
        matching = Matching(event, broken)
        for subscriber in subscribers:
            if matching.is_owed(subscriber):
                yield event, subscriber


def _insertions(
    owed: Sequence[Owed], straight: Collection[int], now: datetime
) -> Iterator[Statement]:
    """Of all that is owed; the last one returns the ids of what goes straight out,
    each with its subscriber's."""
    waiting: list[tuple[int, int, str]] = []
    gone: list[tuple[int, int, str]] = []
    for event, one in owed:
        rows = gone if one.pk in straight else waiting
        rows.append((event.number, one.pk, event.partitionkey))
    if waiting:
        yield insertion(Delivery, KINDS, waiting, due_at=now, created_at=now)
    if gone:
        times = {"due_at": now, "created_at": now, **marked(now)}
        inserted = insertion(Delivery, KINDS, gone, **times)
        sql = f'{inserted.sql} RETURNING "id", "subscriber_id"'
        yield Statement(sql, inserted.parameters)


def _give_up_on_unfiltered(broken: Broken) -> None:
    """A filter that raised says neither yes nor no: a person must."""
    for (number, subscriber_id), error in broken.items():
        delivery = Delivery.objects.get(event=number, subscriber=subscriber_id)
        evidence = Evidence(error=f"FilterFailed: {type(error).__name__}")
        give_up(delivery, reason=Reason.REJECTED, evidence=evidence)


@cache
def _first_unrouted(limit: int) -> Select:
    return Select(lambda: _unrouted(AFTER).order_by("number").defer("data")[:limit])


_LOOK = Select(lambda: _unrouted(AFTER).values_list("number")[:1])
_SUBSCRIBERS = Select(lambda: Subscriber.objects.known())
