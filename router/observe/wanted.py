"""How many events of the log a subscriber asked for within a range of positions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from router.db.patterns import WANTED_BY_JSON, like_pattern
from router.db.statements import Select, Statement, fetched
from router.models import EventRecord


@dataclass(frozen=True, kw_only=True)
class Range:
    """The positions above `after` and up to `to`, where a subscriber asked for event
    types that fit one of `patterns`."""

    subscriber_id: int
    after: int
    to: int
    patterns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The events of a range by their types; a filter may let fewer through."""

    count: int
    oldest_at: datetime
    first_number: int
    last_number: int
    #: Of one of them.
    type: str


def wanted_in(ranges: Sequence[Range]) -> dict[Range, Wanted]:
    """The events wanted in each of these ranges; no entry where there are none.

    One statement, none without ranges. It reads every event of every range, by the
    index of positions.
    """
    if not ranges:
        return {}
    rows = fetched(_statement(ranges))
    values = _VALUES.converted(row[1:] for row in rows)
    return {
        ranges[place]: Wanted(
            count=count,
            first_number=first,
            last_number=last,
            oldest_at=oldest_at,
            type=type_,
        )
        for (place, *_), (count, first, last, oldest_at, type_) in zip(
            rows, values, strict=True
        )
    }


def _statement(ranges: Sequence[Range]) -> Statement:
    is_postgresql = connection.vendor == "postgresql"
    row = _ROW.format(list="text[]" if is_postgresql else "text")
    event = _IN_ORDER if is_postgresql else '"{table}"'
    sql = _SQL.format(
        rows=", ".join([row] * len(ranges)),
        event=event.format(table=EventRecord._meta.db_table),
        wanted="event.type LIKE ANY (asked.patterns)"
        if is_postgresql
        else WANTED_BY_JSON.format(column="event.type", patterns="asked.patterns"),
    )
    return Statement(sql, list(_parameters(ranges, is_postgresql)))


def _parameters(ranges: Sequence[Range], is_postgresql: bool) -> Iterator[Any]:
    for index, each in enumerate(ranges):
        yield from (index, each.subscriber_id, each.after, each.to)
        if is_postgresql:
            yield [like_pattern(pattern) for pattern in each.patterns]
        else:
            yield json.dumps(each.patterns)


_ROW = (
    "(CAST(%s AS integer), CAST(%s AS bigint), CAST(%s AS bigint), "
    "CAST(%s AS bigint), CAST(%s AS {list}))"
)
# In the order of the index, and no more of them than there are positions: for a plain
# join the planner may read the whole log.
_IN_ORDER = """LATERAL (
    SELECT * FROM "{table}" AS event
    WHERE event.position > asked.after AND event.position <= asked.upto
    ORDER BY event.position LIMIT asked.upto - asked.after)"""  # nosec B608
_SQL = """
WITH asked(place, subscriber_id, after, upto, patterns) AS (VALUES {rows})
SELECT asked.place, COUNT(*), MIN(event.number), MAX(event.number),
    MIN(event.recorded_at), MIN(event.type)
FROM asked JOIN {event} AS event
    ON event.position > asked.after AND event.position <= asked.upto
WHERE event.only_for_id = asked.subscriber_id
    OR (event.only_for_id IS NULL AND {wanted})
GROUP BY asked.place"""  # nosec B608  # names of our own
#: Columns of the same kinds as those that are selected.
_VALUES = Select(
    lambda: EventRecord.objects.values_list(
        "number", "number", "number", "recorded_at", "type"
    )
)
