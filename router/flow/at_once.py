"""Several prepared statements in fewer round trips, where the database can.

At a low pace a delivery costs its round trips: each wakes two idle processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from django.db import connection, transaction

from router.flow.prepared import Select, Statement, Update, changed, fetched

#: So many round trips a pipeline costs by itself.
FEW = 2


def read_changed(change: Update, read: Select, **values: Any) -> Sequence[Any]:
    """Update, and read of the rows that were changed; committed together.

    `read` is of the same table and names, for databases without such statements, what
    tells the changed rows from others.
    """
    update, query = change.bound(**values), read.bound(**values)
    if connection.vendor != "postgresql":
        with transaction.atomic():
            return read.converted(fetched(query) if changed(update) else ())
    # Within it the name is the table's, and in the query that follows it is this: the
    # query reads what the update returns in the place of the table.
    table = change.table
    sql = f'WITH "{table}" AS ({update.sql} RETURNING "{table}".*) {query.sql}'
    parameters = [*update.parameters, *query.parameters]
    return read.converted(fetched(Statement(sql, parameters)))


def rows_of_all(
    queries: Sequence[tuple[Select, Mapping[str, Any]]],
) -> list[Sequence[Any]]:
    """The rows of each of these queries, with its values."""
    statements = [query.bound(**values) for query, values in queries]
    with ExitStack() as stack:
        if len(statements) > FEW and connection.vendor == "postgresql":
            connection.ensure_connection()
            # The end of a pipeline may fail like a statement.
            stack.enter_context(connection.wrap_database_errors)
            stack.enter_context(connection.connection.pipeline())
        cursors = [stack.enter_context(connection.cursor()) for _ in statements]
        for cursor, statement in zip(cursors, statements, strict=True):
            cursor.execute(statement.sql, statement.parameters)
        found = [cursor.fetchall() for cursor in cursors]
    return [
        query.converted(rows) for (query, _), rows in zip(queries, found, strict=True)
    ]


def change_all(first: Statement, *others: Statement) -> int:
    """Statements that write to tables of their own; returns the rows of the first.

    In the caller's transaction: only it can undo the others, where the number is not
    what it should be.
    """
    if connection.vendor != "postgresql":
        rows = changed(first)
        for other in others:
            changed(other)
        return rows
    beside = "".join(
        f", beside{number} AS ({other.sql})" for number, other in enumerate(others)
    )
    sql = f"WITH first AS ({first.sql} RETURNING 1){beside} SELECT count(*) FROM first"  # noqa: S608 - statements of our own
    parameters = [one for each in (first, *others) for one in each.parameters]
    [(rows,)] = fetched(Statement(sql, parameters))
    return int(rows)
