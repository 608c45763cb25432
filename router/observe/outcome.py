"""What became of events: a delivery tells by its row, an event without one by the
cursor."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection
from django.db.models import BigIntegerField, QuerySet
from django.db.models.expressions import RawSQL

from router.db.statements import ArrayParam, Select
from router.models import (
    Acknowledgement,
    Delivery,
    DeliveryState,
    EventRecord,
    Subscriber,
)
from router.observe.live_cursors import LiveCursor, live_cursors

#: An event and a subscriber, by their keys, and a run.
Key = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of an event for a subscriber that has no delivery of it.

    PENDING above the cursor, LEASED while it is at work, else ACKNOWLEDGED.
    """

    event: EventRecord
    subscriber: Subscriber
    state: DeliveryState
    acknowledged_at: datetime | None = None
    #: The mean of the events that were acknowledged with it.
    run_ms: float | None = None
    #: How many they were, and the worker that acknowledged them.
    chunk_count: int = 0
    worker: str = ""
    #: When this was read, by the database's clock.
    now: datetime

    @property
    def attempts(self) -> int:
        """Begun attempts, as far as the cursor tells."""
        return int(self.state != DeliveryState.PENDING)


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What became of some events, for all subscribers that want them."""

    deliveries: list[Delivery] = field(default_factory=list)
    #: By the event's number, then by the subscriber's key.
    by_cursor: list[Outcome] = field(default_factory=list)


def outcomes_of(
    events: Collection[EventRecord],
    deliveries: Iterable[Delivery],
    *,
    limit: int | None = None,
) -> Outcomes:
    """What became of these events: `deliveries` are theirs, or the first `limit` of
    them, and are not read before this reads the cursors.

    Three statements, and a fourth where the limit cut off some of the deliveries.
    """
    if not events:
        return Outcomes()
    # In this order: an event that is set aside, or acknowledged, between two of the
    # statements is found in the later one. The other way round it would be lost.
    known = live_cursors()
    rows = list(deliveries)
    are_all = limit is None or len(rows) < limit
    have_rows = _with_rows(rows) if are_all else _all_with_rows(events)
    passed, by_cursor = [], []
    for cursor in known:
        for event in _asked_for(cursor, events, have_rows):
            if _position(event) <= cursor.position:
                passed.append((cursor, event))
            else:
                by_cursor.append(_open(cursor, event))
    by_cursor += _acknowledged(passed)
    by_cursor.sort(key=lambda each: (each.event.number, each.subscriber.pk))
    return Outcomes(deliveries=rows, by_cursor=by_cursor)


def _with_rows(rows: Sequence[Delivery]) -> set[Key]:
    return {(row.event_id, row.subscriber_id, row.run) for row in rows}


def _all_with_rows(events: Collection[EventRecord]) -> set[Key]:
    numbers = [event.number for event in events]
    rows = Delivery.objects.filter(event_id__in=numbers)
    return set(rows.values_list("event_id", "subscriber_id", "run"))


def _asked_for(
    cursor: LiveCursor, events: Collection[EventRecord], have_rows: Collection[Key]
) -> Iterator[EventRecord]:
    """The events that the cursor tells of: its subscriber asked for them when they were
    routed. A filter that raises decides nothing: they are owed."""
    end = cursor.head if cursor.is_in_use else cursor.position
    events_without_rows = [
        event
        for event in sorted(events, key=_position)
        if event.position is not None
        and cursor.reads(event.position)
        and event.position <= end
        and (event.number, cursor.subscriber.pk, cursor.run) not in have_rows
    ]
    return cursor.asking.owed(events_without_rows, broken={})


def _position(event: EventRecord) -> int:
    return event.position or 0


def _open(cursor: LiveCursor, event: EventRecord) -> Outcome:
    is_leased = _position(event) <= cursor.leased_to
    return Outcome(
        event=event,
        subscriber=cursor.subscriber,
        state=DeliveryState.LEASED if is_leased else DeliveryState.PENDING,
        now=cursor.now,
    )


def _acknowledged(passed: Sequence[tuple[LiveCursor, EventRecord]]) -> list[Outcome]:
    """Those that an Acknowledgement covers.

    None does where a filter of today's code lets through what it did not let through
    then: that event was not owed.
    """
    asked = [(cursor.cursor_id, _position(event)) for cursor, event in passed]
    chunks = _chunks_that_end_at_or_after(asked)
    outcomes = []
    for cursor, event in passed:
        chunk = _covering(chunks, cursor.cursor_id, _position(event))
        if chunk is not None:
            outcomes.append(
                Outcome(
                    event=event,
                    subscriber=cursor.subscriber,
                    state=DeliveryState.ACKNOWLEDGED,
                    acknowledged_at=chunk.acknowledged_at,
                    run_ms=chunk.run_ms,
                    chunk_count=chunk.count,
                    worker=chunk.worker,
                    now=cursor.now,
                )
            )
    return outcomes


def chunk_covering(cursor_id: int, position: int) -> Acknowledgement | None:
    """The chunk that acknowledged an event. One statement."""
    chunks = _chunks_that_end_at_or_after([(cursor_id, position)])
    return _covering(chunks, cursor_id, position)


def _covering(
    chunks: Sequence[Acknowledgement], cursor_id: int, position: int
) -> Acknowledgement | None:
    covering = (
        chunk
        for chunk in chunks
        if chunk.cursor_id == cursor_id and chunk.first <= position <= chunk.last
    )
    return next(covering, None)


def _chunks_that_end_at_or_after(
    asked: Sequence[tuple[int, int]],
) -> Sequence[Acknowledgement]:
    """For each cursor and position the first chunk that ends there or later."""
    if not asked:
        return []
    cursors, positions = zip(*asked, strict=True)
    return _COVERING.models(cursors=cursors, positions=positions)


def _covering_chunks() -> QuerySet[Acknowledgement]:
    is_postgresql = connection.vendor == "postgresql"
    sql = _FIRST.format(
        asked=_ASKED if is_postgresql else _ASKED_OF_SQLITE,
        chunk=Acknowledgement._meta.db_table,
    )
    ids = RawSQL(sql, (CURSORS, POSITIONS))  # nosec B611  # names of our own
    return Acknowledgement.objects.filter(pk__in=ids)


CURSORS = ArrayParam("cursors", BigIntegerField())
POSITIONS = ArrayParam("positions", BigIntegerField())
_ASKED = "unnest(%s::bigint[], %s::bigint[]) AS asked(cursor_id, position)"
_ASKED_OF_SQLITE = """(
        SELECT cursor.value AS cursor_id, place.value AS position
        FROM json_each(%s) AS cursor
        JOIN json_each(%s) AS place USING (key)) AS asked"""
#: The index of cursor and last position answers each; a range would read all chunks
#: that came later.
_FIRST = """
    SELECT (
        SELECT chunk.id FROM "{chunk}" AS chunk
        WHERE chunk.cursor_id = asked.cursor_id AND chunk.last >= asked.position
        ORDER BY chunk.last LIMIT 1)
    FROM {asked}"""
_COVERING = Select(_covering_chunks)
