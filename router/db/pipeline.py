"""Several prepared statements in one round trip: psycopg's pipeline, on PostgreSQL.

At a low pace a delivery costs its round trips: each wakes two idle processes.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableSet, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any
from weakref import WeakSet

from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    DataError,
    connection,
    connections,
    transaction,
)

from router.db.plan_cache import (
    NOT_COMMITTED,
    PLAN_SETTINGS,
    PlanForgotten,
    forget_all,
    keeps_plans,
    run_by_plan,
)
from router.db.statements import Select, Statement, Update, changed, fetched

#: Whatever is usual here: the router's statements see what committed before each.
BEGIN = Statement("BEGIN ISOLATION LEVEL READ COMMITTED", ())
COMMIT = Statement("COMMIT", ())
#: Sessions in which another isolation is usual.
_isolated: MutableSet[Any] = WeakSet()


def read_changed(
    change: Update,
    read: Select,
    beside: Select,
    *,
    before: Statement | None = None,
    **values: Any,
) -> tuple[Sequence[Any], Sequence[Any]]:
    """Update, then read the rows that were changed, and `beside`; committed together.

    `before` is a statement that goes before them, in the same transaction.
    Returns the rows of both queries, those of `beside` as the database gives them.
    `read` is of the same table as `change`, and names, for databases without such
    statements, what tells the changed rows from others.
    """
    update, query, other = (each.bound(**values) for each in (change, read, beside))
    if connection.vendor != "postgresql":
        with transaction.atomic():
            rows_of_all([before] if before else [])
            rows = fetched(query) if changed(update) else ()
            return read.converted(rows), fetched(other)
    # Within it the name is the table's, and in the query that follows it is this: the
    # query reads what the update returns in the place of the table. By a plan that is
    # older than the rows it might read all of the table instead.
    table = change.table
    sql = f'WITH "{table}" AS ({update.sql} RETURNING "{table}".*) {query.sql}'
    both = Statement(sql, [*update.parameters, *query.parameters])
    first = [before] if before else []
    *_, rows, rows_beside = rows_of_planned([*first, both, other])
    return read.converted(rows), rows_beside


def rows_of_all(
    statements: Sequence[Statement], *, is_planned: bool = False
) -> list[Sequence[Any]]:
    """The rows of each of these statements, none of one that returns none.

    They run in their order, each with a snapshot of its own (at READ COMMITTED, which
    is PostgreSQL's default). `is_planned`: the session keeps their plans.
    """
    # Not by the name `connection`, each use of which looks it up.
    database: Any = connections[DEFAULT_DB_ALIAS]
    if not (statements and _has_pipeline(database)):
        return [fetched(each) for each in statements]
    database.ensure_connection()
    with database.wrap_database_errors, database.connection.pipeline():
        send = run_by_plan if is_planned else _sent
        cursors = [send(each, database) for each in statements]
    # `description` makes an object of each column.
    return [cursor.fetchall() if cursor.pgresult.nfields else () for cursor in cursors]


def _sent(statement: Statement, database: Any) -> Any:
    cursor = database.cursor()
    cursor.execute(statement.sql, statement.parameters)
    return cursor


def rows_of_first(
    statements: Sequence[Statement], *, is_planned: bool = False
) -> list[Sequence[Any]]:
    """`rows_of_all`, and what begins the transaction, if they are its first ones.

    Django begins none before a statement comes, and the driver sends a BEGIN of its
    own before that and waits for the answer.
    """
    database: Any = connections[DEFAULT_DB_ALIAS]
    session = database.connection
    is_first = (
        database.in_atomic_block and _has_pipeline(database) and _is_unbegun(session)
    )
    if not (statements and is_first):
        return rows_of_all(statements, is_planned=is_planned)
    session.autocommit = True
    try:
        if is_planned and statements[-1] is COMMIT and session not in _isolated:
            with suppress(_Isolated):
                return _rows_of_whole(statements[:-1])
        return rows_of_all([BEGIN, *statements], is_planned=is_planned)[1:]
    finally:
        # Ended with them, or never begun. Else the driver sees that it has begun, and
        # takes this only when it is over, as Django then does.
        if _is_unbegun(session):
            session.autocommit = False


class _Isolated(Exception):
    """The session's own isolation is not READ COMMITTED."""


def _rows_of_whole(statements: Sequence[Statement]) -> list[Sequence[Any]]:
    """The rows of all statements of a transaction, which has neither BEGIN nor COMMIT:
    what the database reads up to one Sync is a transaction.

    `PLAN_SETTINGS` are among them. Raises `_Isolated`; then nothing was done.
    """
    try:
        return [*rows_of_all(statements, is_planned=True), ()]
    except DatabaseError as error:
        # As it does at a rollback: what it believes to be prepared may not be.
        session: Any = connection.connection
        session._prepared.clear()
        if NOT_COMMITTED not in str(error):
            raise
        _isolated.add(session)
        raise _Isolated from error


def rows_of_planned(
    statements: Sequence[Statement],
    *,
    before: Sequence[Statement] = (),
    after: Sequence[Statement] = (),
    owns_transaction: bool | None = None,
) -> list[Sequence[Any]]:
    """`rows_of_first`, by the plans that the session keeps where it keeps any.

    `owns_transaction`: no other code's statement follows in the transaction, so that
    the plan settings of these reach none; by default true outside a transaction.
    `before` and `after` are not planned. Raises `PlanForgotten`.
    """
    is_alone = transaction.get_autocommit()
    if owns_transaction is None:
        owns_transaction = is_alone
    is_planned = owns_transaction and keeps_plans()
    before = [*before, PLAN_SETTINGS] if is_planned else before
    is_single = len(statements) == 1 and not is_planned
    try:
        with nullcontext() if is_single or not is_alone else transaction.atomic():
            results = rows_of_first(
                [*before, *statements, *(after or commits(is_alone and not is_single))],
                is_planned=is_planned,
            )
    except DatabaseError as error:
        if not (is_planned and forget_all(error)):
            raise
        if not is_alone:
            raise PlanForgotten from error
        return rows_of_planned(statements)
    return results[len(before) : len(before) + len(statements)]


def _is_unbegun(session: Any) -> bool:
    if session is None:
        # Closed within the transaction: Django says so at the next statement.
        return False
    return str(session.info.transaction_status.name) == "IDLE"


def _has_pipeline(database: Any) -> bool:
    return bool(database.vendor == "postgresql")


@contextmanager
def own_transaction() -> Iterator[bool]:
    """A transaction, and whether it is the outermost one, which its code may commit.

    Within a transaction nothing shows that any more: it is asked before this begins.
    """
    owns_transaction = transaction.get_autocommit()
    with transaction.atomic():
        yield owns_transaction


def commits(owns_transaction: bool) -> Sequence[Statement]:
    """What commits an outermost transaction together with its last statements.

    Django's own commit then finds it done, which costs nothing.
    """
    return [COMMIT] if owns_transaction and _has_pipeline(connection) else []


#: In the database's own message, and in its log.
NOT_ALL = "the lease was lost, rows left: "
#: Not a number, if it is another one: whatever follows in the message is left out.
CHECKED = (
    f"CASE count(*) WHEN %s THEN 1 ELSE CAST('{NOT_ALL}' || count(*) AS integer) END"
)


class NotAll(Exception):
    """A statement wrote to another number of rows than it should."""


def update_expecting(
    count: int,
    first: Statement | Sequence[Statement],
    *others: Statement,
    before: Sequence[Statement] = (),
    may_commit: bool = False,
) -> None:
    """Statements that write to tables of their own, the first to `count` rows; several
    first ones write to so many together, where each may write to one at most.

    In the caller's transaction. `before` are statements that run before them. With
    `may_commit` they are the last ones of an outermost transaction: it is committed
    within the same round trip, where the database can. If it can't be committed, that
    is an error of the database, whose log may contain all values. Raises `NotAll`, and
    then nothing was committed: the caller rolls it back.
    """
    fences = [first] if isinstance(first, Statement) else first
    if connection.vendor == "postgresql" and may_commit:
        _commit_exactly(count, _combined(CHECKED, fences, others), before)
        return
    if connection.vendor == "postgresql":
        counted = _combined("count(*)", fences, others)
        *_, [(rows,)] = rows_of_first([*before, counted])
    else:
        rows_of_all(before)
        rows = sum(changed(fence) for fence in fences)
        rows_of_all(others)
    if rows != count:
        raise NotAll


def _combined(
    result: str, fences: Sequence[Statement], others: Sequence[Statement]
) -> Statement:
    """All of them in one statement, which returns `result` over the fences' rows."""
    names = [f"fence{number}" for number in range(len(fences))]
    parts = [
        f"{name} AS ({fence.sql} RETURNING 1)"
        for name, fence in zip(names, fences, strict=True)
    ]
    parts += [f"beside{number} AS ({each.sql})" for number, each in enumerate(others)]
    rows = " UNION ALL ".join(f"SELECT 1 FROM {name}" for name in names)  # nosec B608
    sql = f"WITH {', '.join(parts)} SELECT {result} FROM ({rows}) AS fenced"  # nosec B608  # statements of our own
    values = [value for each in (*fences, *others) for value in each.parameters]
    return Statement(sql, values)


def _commit_exactly(
    count: int, checked: Statement, before: Sequence[Statement]
) -> None:
    written = Statement(checked.sql, [*checked.parameters, count])
    after = commits(True)
    try:
        rows_of_planned([written], before=before, after=after, owns_transaction=True)
    except DataError as error:
        if NOT_ALL not in str(error):
            raise
        raise NotAll from error
