"""The text of the statement that claims the next events above a cursor.

The live cursor reads what its subscriber asked for by period, a run what the run asks
for, up to its end. The text of the live cursor has no part for runs: it is the one that
must be fast.
"""

from __future__ import annotations

_IN_PERIOD = """(SELECT {column} FROM "{{period}}" AS period
            WHERE period.subscriber_id = cursor.subscriber_id
                AND period.after <= cursor.position
            ORDER BY period.after DESC LIMIT 1)"""  # nosec B608  # names of our own
# Among the imports a run reads up to their end: see `router.models.gap`.
_END_OF_RUN = """CASE WHEN cursor.position < 0
                THEN {least}(run."end", head.imported) ELSE run."end" END"""
#: Name → what stands there for the live cursor, and for a run.
_PARTS = {
    "end": (
        """head.position, COALESCE((
                SELECT MIN(period.after) FROM "{period}" AS period
                WHERE period.subscriber_id = cursor.subscriber_id
                    AND period.after > cursor.position), head.position)""",
        _END_OF_RUN,
    ),
    "head": ("head.position", _END_OF_RUN),
    "events": (_IN_PERIOD.format(column="period.events"), "run.events"),
    "filter": (
        _IN_PERIOD.format(column="CAST(period.filter AS text)"),
        "CAST(run.filter AS text)",
    ),
    "rate": (
        "",
        """
                    COALESCE(run.rate_per_second * {rate_seconds}, {everything}),""",
    ),
    "number": ("{live}", ":run"),
    "join": (
        "",
        """
    JOIN "{run}" AS run ON run.subscriber_id = turn.subscriber_id
        AND run.number = cursor.run AND run.state = 'active'""",
    ),
    "addressed": ("event.only_for_id = :subscriber OR (", "("),
    "passed": (
        "delivery.run = {live}",
        """(delivery.run = :run
                OR delivery.state IN ('PENDING', 'LEASED', 'DEAD'))""",
    ),
    "free": (
        "",
        """,
        run = CASE WHEN EXISTS (SELECT 1 FROM picked) THEN turn.run ELSE {live} END""",
    ),
}


def claim_text(*, is_run: bool, is_postgresql: bool) -> str:
    """The text, with names in braces for tables and limits, and `:name` for values."""
    text = _SQL + (_LEASED if is_postgresql else "") + _SELECTED
    for name, (of_live, of_run) in _PARTS.items():
        text = text.replace(f"<{name}>", of_run if is_run else of_live)
    return text


# The position reaches the log's index as a value, from a query that is answered first:
# for a join of cursor and log the planner would read the log. Positions have no gaps
# where a cursor reads, so that a range of them bounds the look, whatever the types.
_SQL = """
WITH here AS MATERIALIZED (
    SELECT cursor.id, cursor.position,
        {most}(cursor.position, {least}(cursor.position + {span}, <end>)) AS until,
        <head> AS head, <events> AS events, <filter> AS filter,
        CASE WHEN cursor.position < cursor.alone_to OR subscriber.mean_run_ms IS NULL
            THEN 1
            ELSE {most}(1, {least}(CAST(:limit AS integer),
                COALESCE(subscriber.ramp, {everything}),
                COALESCE(subscriber.in_flight_limit, {everything}),
                CAST({least}({everything}, COALESCE(
                    subscriber.rate_per_second * {rate_seconds}, {everything}),<rate>
                    {chunk_ms} / {most}(subscriber.mean_run_ms, 0.01)) AS integer)))
        END AS size, {known}
    FROM "{turn}" AS turn
    JOIN "{cursor}" AS cursor
        ON cursor.subscriber_id = turn.subscriber_id AND cursor.run = <number><join>
    JOIN "{subscriber}" AS subscriber ON subscriber.id = turn.subscriber_id
    CROSS JOIN "{head}" AS head
    WHERE turn.subscriber_id = :subscriber AND turn.token = :token
), found AS MATERIALIZED (
    SELECT event.size_bytes, {columns}
    FROM "{event}" AS event
    WHERE event.position > (SELECT position FROM here)
        AND event.position <= (SELECT until FROM here)
        AND (<addressed>event.only_for_id IS NULL AND {wanted}))
        AND NOT EXISTS (
            SELECT 1 FROM "{delivery}" AS delivery
            WHERE delivery.event_id = event.number
                AND delivery.subscriber_id = :subscriber AND <passed>)
    ORDER BY event.position
    LIMIT COALESCE((SELECT size FROM here), 0)
), picked AS MATERIALIZED (
    SELECT * FROM (
        SELECT SUM(size_bytes) OVER (
            ORDER BY position ROWS UNBOUNDED PRECEDING) - size_bytes AS before, found.*
        FROM found) AS found
    WHERE before < {bytes}
)"""  # nosec B608  # names of our own
_LEASED = """, counted AS (
    UPDATE "{turn}" AS turn SET leased_count = (SELECT COUNT(*) FROM picked),
        token = CASE WHEN EXISTS (SELECT 1 FROM picked) THEN turn.token END,
        leased_until = CASE WHEN EXISTS (SELECT 1 FROM picked)
            THEN turn.leased_until END<free>
    WHERE turn.subscriber_id = :subscriber AND turn.token = :token
), moved AS (
    UPDATE "{cursor}" AS cursor SET leased_to = (SELECT MAX(position) FROM picked),
        position = CASE WHEN EXISTS (SELECT 1 FROM picked) THEN cursor.position
            ELSE {most}(cursor.position, here.until) END
    FROM here WHERE cursor.id = here.id
)"""  # nosec B608  # names of our own
_SELECTED = """
SELECT {first} FROM here, (SELECT COUNT(*) AS count FROM found) AS found
UNION ALL SELECT {others}, picked.* FROM picked ORDER BY {place} NULLS FIRST"""  # nosec B608
