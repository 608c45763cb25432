"""Gives events deliveries: those that may go now, and those behind others of a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from router.db.bulk_insert import Insert
from router.db.statements import Statement
from router.flow.cursor.in_line import Row, first_of_their_keys
from router.models import Clock, Delivery, EventRecord, Subscriber

#: An event, and a subscriber to which it is owed.
Owed = tuple[EventRecord, Subscriber]
#: What differs between the deliveries → its type.
KINDS = {"event_id": "bigint", "subscriber_id": "bigint", "ordering_key": "text"}


def insertions(owed: Iterable[Owed]) -> Iterator[Statement]:
    """The statements that insert a delivery of each, except those that are there."""
    free: list[Row] = []
    in_line: list[Row] = []
    for event, subscriber in owed:
        key = event.partitionkey if subscriber.is_ordered else ""
        (in_line if key else free).append((event.number, subscriber.pk, key))
    first, held = first_of_their_keys(in_line)
    for insert, rows in ((_WAITING, [*free, *first]), (_HELD, held)):
        if rows:
            given = insert.of(rows)
            # SQLite takes ON for that of a join, without a condition before it.
            sql = f"{given.sql} WHERE TRUE ON CONFLICT DO NOTHING"
            yield Statement(sql, given.parameters)


_WAITING = Insert(Delivery, KINDS, lambda: {"due_at": Clock(), "created_at": Clock()})
_HELD = Insert(Delivery, KINDS, lambda: {"created_at": Clock()})
