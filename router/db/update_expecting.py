"""Writes that count: to as many rows as they should, or nothing of them stays."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import DataError, connection

from router.db.pipeline import end_of, rows_of_all, rows_of_first, rows_of_planned
from router.db.statements import Statement, changed

#: In the database's own message, and in its log.
NOT_ALL = "the lease was lost, rows left: "
#: Not a number, if it is another one: whatever follows in the message is left out.
CHECKED = (
    f"CASE count(*) WHEN %s THEN 1 ELSE CAST('{NOT_ALL}' || count(*) AS integer) END"
)


class NotAll(Exception):
    """A statement wrote to another number of rows than it should."""


def change_exactly(
    count: int,
    first: Statement,
    *others: Statement,
    before: Sequence[Statement] = (),
    is_last: bool = False,
) -> None:
    """Statements that write to tables of their own, the first to `count` rows.

    In the caller's transaction. `before` are statements that run before them. After
    the last of an outermost transaction it is committed within the same round trip,
    where the database can; if they can't be committed it is then an error there, which
    its log may tell with all values. Raises `NotAll`, and then nothing was committed:
    the caller rolls it back.
    """
    if connection.vendor == "postgresql" and is_last:
        _commit_exactly(count, _together(CHECKED, first, others), before)
        return
    if connection.vendor == "postgresql":
        counted = _together("count(*)", first, others)
        *_, [(rows,)] = rows_of_first([*before, counted])
    else:
        rows_of_all(before)
        rows = changed(first)
        rows_of_all(others)
    if rows != count:
        raise NotAll


def _together(told: str, first: Statement, others: Sequence[Statement]) -> Statement:
    """All of them in one statement, which returns what is `told` of the first."""
    beside = "".join(
        f", beside{number} AS ({other.sql})" for number, other in enumerate(others)
    )
    sql = f"WITH first AS ({first.sql} RETURNING 1){beside} SELECT {told} FROM first"  # nosec B608  # statements of our own
    return Statement(sql, [one for each in (first, *others) for one in each.parameters])


def _commit_exactly(
    count: int, checked: Statement, before: Sequence[Statement]
) -> None:
    written = Statement(checked.sql, [*checked.parameters, count])
    after = end_of(is_last=True)
    try:
        rows_of_planned([written], before=before, after=after, is_ours=True)
    except DataError as error:
        if NOT_ALL not in str(error):
            raise
        raise NotAll from error
