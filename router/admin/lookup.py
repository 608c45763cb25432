"""Exact look-ups in the event log: each by an index, each bounded."""

from __future__ import annotations

from django.db import connections, router

from router.models import EventRecord

#: A search that hits more shows the newest of them.
MOST_HITS = 500
MOST_DISTINCT = 100
# The database jumps from value to value in the index; DISTINCT would read all of it.
JUMPS = """
WITH RECURSIVE found(value) AS (
    SELECT MIN({column}) FROM {table}
    UNION ALL
    SELECT (SELECT MIN({column}) FROM {table} WHERE {column} > found.value)
    FROM found WHERE found.value IS NOT NULL
)
SELECT value FROM found WHERE value IS NOT NULL LIMIT {most}
"""


def distinct_values(column: str) -> list[str]:
    """The different values of an indexed column of the log (`type` or `source`)."""
    connection = connections[router.db_for_read(EventRecord)]
    statement = JUMPS.format(
        column=connection.ops.quote_name(column),
        table=connection.ops.quote_name(EventRecord._meta.db_table),
        most=MOST_DISTINCT,
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [value for (value,) in cursor.fetchall()]


def event_numbers(term: str) -> list[int]:
    """Events whose number, id or subject is exactly `term`, newest first."""
    events = EventRecord.objects.order_by("-number").values_list("number", flat=True)
    sources = distinct_values("source")
    found = {
        *events.filter(source__in=sources, event_id=term)[:MOST_HITS],
        *events.filter(source__in=sources, subject=term)[:MOST_HITS],
    }
    number = whole_number(term)
    if number is not None:
        found.add(number)
    return sorted(found, reverse=True)


def whole_number(term: str) -> int | None:
    """`term` as a row's number, `#` allowed before it."""
    digits = term.removeprefix("#")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        return None
    return int(digits)
