"""The different values of an indexed column, at one index look-up each."""

from __future__ import annotations

from django.db import connections, router
from django.db.models import Model

from router.models import EventRecord

MAX_DISTINCT = 100
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


def distinct_values(column: str, model: type[Model] = EventRecord) -> list[str]:
    """The first hundred of the different values of an indexed column of texts."""
    connection = connections[router.db_for_read(model)]
    statement = JUMPS.format(
        column=connection.ops.quote_name(column),
        table=connection.ops.quote_name(model._meta.db_table),
        most=MAX_DISTINCT,
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [value for (value,) in cursor.fetchall()]


def values_of_log(column: str) -> list[str] | None:
    """Every `type` or `source` of the log; None when there are too many."""
    values = distinct_values(column)
    return values if len(values) < MAX_DISTINCT else None
