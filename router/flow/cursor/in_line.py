"""Which new deliveries of ordered subscribers stand behind another of their key."""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.db import connection

from router.db.statements import Statement, fetched
from router.models import Delivery

#: The event's number, the subscriber's id, the ordering key.
Row = tuple[int, int, str]
#: In the order of the index, and one of them: a join might read all that is held.
ANY_IN_LINE = f"""
    SELECT 1 FROM "{Delivery._meta.db_table}" AS row
    WHERE row.subscriber_id = new.subscriber_id AND row.ordering_key = new.ordering_key
        AND row.ordering_key > '' AND row.run = %s
        AND (row.state = 'PENDING' OR row.state = 'LEASED' OR row.state = 'DEAD')
    ORDER BY row.due_at, row.id LIMIT 1"""  # nosec B608  # names of our own
IN_LINE = f"""
    SELECT new.subscriber_id, new.ordering_key
    FROM unnest(%s::bigint[], %s::text[]) AS new(subscriber_id, ordering_key)
    WHERE ({ANY_IN_LINE}) IS NOT NULL"""  # nosec B608  # names of our own
IN_LINE_OF_SQLITE = f"""
    SELECT new.subscriber_id, new.ordering_key
    FROM (SELECT json_extract(value, '$[0]') AS subscriber_id,
            json_extract(value, '$[1]') AS ordering_key FROM json_each(%s)) AS new
    WHERE ({ANY_IN_LINE}) IS NOT NULL"""  # nosec B608  # names of our own


def first_of_their_keys(
    rows: Sequence[Row], *, run: int
) -> tuple[list[Row], list[Row]]:
    """Those of these new deliveries of a run that may go now, and those to hold.

    One statement, whatever their number, and none where there are none.
    """
    keys = _keys_in_line({row[1:] for row in rows}, run) if rows else set()
    first: list[Row] = []
    held: list[Row] = []
    for row in rows:
        (held if row[1:] in keys else first).append(row)
        keys.add(row[1:])
    return first, held


def _keys_in_line(keys: set[tuple[int, str]], run: int) -> set[tuple[int, str]]:
    """Those of these keys of subscribers of which a delivery is not over."""
    pairs = sorted(keys)
    if connection.vendor == "postgresql":
        parameters = [[pk for pk, _ in pairs], [key for _, key in pairs], run]
        return {(pk, key) for pk, key in fetched(Statement(IN_LINE, parameters))}
    given = [json.dumps(pairs), run]
    return {(pk, key) for pk, key in fetched(Statement(IN_LINE_OF_SQLITE, given))}
