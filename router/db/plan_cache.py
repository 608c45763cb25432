"""Statements whose plans a session of the database keeps.

To plan one takes longer than to answer it, and every delivery waits for
that. A plan that is kept was made when a table may have been empty, and reading all of
an empty table is quick: hence only plans by an index are allowed here.

Only where the project asks for it, by `prepare_threshold` in the options of its
database, and with that meaning: so often a statement runs before its plan is kept.
Django's default is never, since a pooler may hand a session from one to the next.
"""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping, MutableSet, Sequence
from dataclasses import dataclass, field
from hashlib import blake2s
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections

from router.db.statements import Statement

logger = logging.getLogger(__name__)

#: For the rest of a transaction, which must have nothing in it but the router's own.
PLAN_SETTINGS = tuple(
    Statement(f"SET LOCAL {setting}", ())
    for setting in (
        "plan_cache_mode = force_generic_plan",
        "enable_seqscan = off",
        "enable_hashjoin = off",
        "enable_mergejoin = off",
    )
)
#: PostgreSQL, appendix A: a prepared statement that is not there, one that is there
#: already, one that would return other columns than before.
FORGOTTEN_STATES = frozenset({"26000", "42P05", "0A000"})
#: Django's connections, one a thread, whose sessions keep no plans any more.
_without_plans: MutableSet[Any] = WeakSet()


class PlanForgotten(DatabaseError):
    """A session lacks the plans that it was asked to keep; nothing else failed."""


@dataclass
class SessionPlans:
    """What one session keeps."""

    #: Text → how often it ran, of those whose plan is not kept yet.
    uses: dict[str, int] = field(default_factory=dict)
    #: Text → the statement that executes it.
    executions: dict[str, str] = field(default_factory=dict)


_sessions: MutableMapping[Any, SessionPlans] = WeakKeyDictionary()


def planned(statements: Sequence[Statement]) -> Sequence[Statement]:
    """What runs these by the plans that are kept, or the statements themselves.

    Before them come the `PLAN_SETTINGS`. Where it fails, ask `forget_all`.
    """
    threshold = _threshold()
    if threshold is None:
        return statements
    kept = _sessions.setdefault(connection.connection, SessionPlans())
    executions = [_execution(kept, each, threshold) for each in statements]
    is_any_kept = any(
        new is not old for new, old in zip(executions, statements, strict=True)
    )
    return [*PLAN_SETTINGS, *executions] if is_any_kept else statements


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


def _threshold() -> int | None:
    """How often a statement runs before its plan is kept; None is never."""
    # A site sets it where a pooler stands before the database.
    is_behind_pooler = connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
    if is_behind_pooler or connections[DEFAULT_DB_ALIAS] in _without_plans:
        return None
    connection.ensure_connection()
    threshold: int | None = getattr(connection.connection, "prepare_threshold", None)
    return threshold


def _execution(kept: SessionPlans, statement: Statement, threshold: int) -> Statement:
    text = kept.executions.get(statement.sql)
    if text is None:
        uses = kept.uses.get(statement.sql, 0)
        if uses < threshold:
            kept.uses[statement.sql] = uses + 1
            return statement
        text = _keep(kept, statement)
    return Statement(text, statement.parameters)


def _keep(kept: SessionPlans, statement: Statement) -> str:
    # By its text: other code of the session can mean nothing else by it.
    name = f"fanfare_{blake2s(statement.sql.encode(), digest_size=12).hexdigest()}"
    with connection.cursor() as cursor:
        cursor.execute(f"PREPARE {name} AS {numbered(statement.sql)}")
    places = ", ".join(["%s"] * len(statement.parameters))
    text = f"EXECUTE {name}({places})" if places else f"EXECUTE {name}"
    kept.executions[statement.sql] = text
    return text


def numbered(sql: str) -> str:
    """Number the places for values, as PostgreSQL's own statements want them."""
    number = 0

    def place(match: re.Match[str]) -> str:
        nonlocal number
        if match.group() == "%%":
            return "%"
        number += 1
        return f"${number}"

    return re.sub("%[s%]", place, sql)
