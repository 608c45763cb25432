"""Statements whose plans a session of the database keeps, by psycopg's own means.

PostgreSQL takes longer to plan such a statement than to run it, and every delivery
waits for that. A plan that is kept may be older than the rows: the best plan for an
empty table reads the whole table, so that only plans by an index are allowed here.

A project turns this on by `prepare_threshold` in the options of its database: how often
a statement runs before its plan is kept. Django's default is off, since a pooler may
hand one session to many processes.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import MutableSet
from typing import Any
from weakref import WeakSet

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from router.db.statements import Statement

logger = logging.getLogger(__name__)

#: For the rest of a transaction, which must have nothing in it but the router's own.
SETTINGS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    # It reads all of a range before the first row, however few are asked for.
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
#: In the database's own message.
NOT_COMMITTED = "the transaction is not read committed but "
_SET = [
    *(f"set_config('{name}', '{value}', TRUE)" for name, value in SETTINGS.items()),
    "CASE current_setting('transaction_isolation') WHEN 'read committed' THEN 1 ELSE "
    f"CAST('{NOT_COMMITTED}' || current_setting('transaction_isolation') AS integer) "
    "END",
]
PLAN_SETTINGS = Statement(f"SELECT {', '.join(_SET)}", ())
#: PostgreSQL, appendix A: a prepared statement that is not there, one that is there
#: already, one that would return other columns than before.
FORGOTTEN_STATES = frozenset({"26000", "42P05", "0A000"})
#: Django's connections, one a thread, whose sessions keep no plans any more.
_without_plans: MutableSet[Any] = WeakSet()


class PlanForgotten(DatabaseError):
    """A session lacks the plans that it was asked to keep; nothing else failed."""


def keeps_plans() -> bool:
    """Whether the session keeps the plans of what runs by `run_by_plan`."""
    # A site sets it where a pooler stands before the database.
    database: Any = connections[DEFAULT_DB_ALIAS]
    is_behind_pooler = database.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
    if is_behind_pooler or database in _without_plans:
        return False
    database.ensure_connection()
    return getattr(database.connection, "prepare_threshold", None) is not None


def _plan_cursor(database: Any) -> Any:
    """A cursor whose values the server binds: psycopg keeps the plans of no other."""
    session = database.connection
    prepared = session._prepared
    if not prepared._prepared_idx:
        # psycopg counts from 0 in each process. Behind a pooler the name would be that
        # of another process's statement: unknown there, it is an error instead.
        prepared._prepared_idx = secrets.randbits(48)
    return database._prepare_cursor(database.Database.Cursor(session))


def run_by_plan(statement: Statement, database: Any) -> Any:
    """The cursor of this connection of Django's after the statement, whose plan the
    session keeps.

    `PLAN_SETTINGS` go before it.
    """
    cursor = _plan_cursor(database)
    cursor.execute(statement.sql, statement.parameters)
    if database.queries_logged:
        # Django asks the driver for the text, which has none of a plan that is kept.
        text = database.ops.compose_sql(statement.sql, statement.parameters)
        database.queries_log[-1]["sql"] = text
    return cursor


def forget_all(error: Exception) -> bool:
    """Whether the session lost a plan; if so, this thread uses none from now on."""
    if getattr(error.__cause__, "sqlstate", None) not in FORGOTTEN_STATES:
        return False
    _without_plans.add(connections[DEFAULT_DB_ALIAS])
    logger.warning(
        "The database forgot a prepared statement, as it does behind a pooler: this "
        "thread uses none from now on. Set prepare_threshold to None in its OPTIONS."
    )
    return True
