"""Gives events deliveries: those that may go now or at a time of their own, and those
behind others of a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection
from django.db.models import CharField, IntegerField

from router.db.bulk_insert import Insert
from router.db.statements import Param, Statement
from router.flow.cursor.in_line import Row, first_of_their_keys
from router.models import LIVE, Clock, Delivery, EventRecord, Origin, Subscriber

#: An event, and a subscriber to which it is owed.
Owed = tuple[EventRecord, Subscriber]
#: What differs between the deliveries → its type.
KINDS = {"event_id": "bigint", "subscriber_id": "bigint", "ordering_key": "text"}


def insertions(
    owed: Iterable[Owed], *, run: int = LIVE, origin: str = Origin.LIVE
) -> Iterator[Statement]:
    """The statements that insert a delivery of each, except those that are there; all
    are of one run."""
    free: list[Row] = []
    in_line: list[Row] = []
    later: list[tuple[*Row, Any, Any]] = []
    for event, subscriber in owed:
        if (at := event.not_before) is not None:
            due_at = connection.ops.adapt_datetimefield_value(at)
            later.append((event.number, subscriber.pk, "", due_at, due_at))
            continue
        key = event.partitionkey if subscriber.is_ordered else ""
        (in_line if key else free).append((event.number, subscriber.pk, key))
    first, held = first_of_their_keys(in_line, run=run)
    for insert, rows in ((_WAITING, [*free, *first]), (_HELD, held), (_LATER, later)):
        if rows:
            given = insert.of(rows, run=run, origin=origin)
            # SQLite takes ON for that of a join, without a condition before it.
            sql = f"{given.sql} WHERE TRUE ON CONFLICT DO NOTHING"
            yield Statement(sql, given.parameters)


#: What all of them have.
_SAME = {
    "run": Param("run", IntegerField()),
    "origin": Param("origin", CharField()),
    "created_at": Clock(),
}
_WAITING = Insert(Delivery, KINDS, lambda: {**_SAME, "due_at": Clock()})
_HELD = Insert(Delivery, KINDS, lambda: _SAME)
#: Owed from then on: until it is time, none of them is the oldest that waits.
_LATER = Insert(
    Delivery,
    {**KINDS, "due_at": "timestamptz", "created_at": "timestamptz"},
    lambda: {name: _SAME[name] for name in ("run", "origin")},
)
