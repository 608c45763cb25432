"""Errors of the database that pass by themselves: they count no failure."""

from __future__ import annotations

import logging

from django.db import Error, InterfaceError, OperationalError, connection

from router.db.plan_cache import PlanForgotten
from router.db.session import drop_lost_session

logger = logging.getLogger(__name__)

# PostgreSQL, appendix A: serialization failure, deadlock, lock not available.
PASSING_STATES = frozenset({"40001", "40P01", "55P03"})
# The administrator's or crash shutdowns that cut a connection.
LOST_STATES = frozenset({"57P01", "57P02", "57P03", "08000", "08003", "08006"})

#: Two transactions were in each other's way: one of them was sent back.
COLLISIONS = frozenset({"40001", "40P01"})


def is_collision(error: Error) -> bool:
    """Whether nothing but another transaction was in the way."""
    return getattr(error.__cause__, "sqlstate", None) in COLLISIONS


def is_transient(error: Error) -> bool:
    """Whether the same work may simply be done again."""
    state = getattr(error.__cause__, "sqlstate", None)
    if state in PASSING_STATES or isinstance(error, PlanForgotten):
        return True
    if is_session_lost(error):
        return True
    return _is_sqlite() and "locked" in str(error)


def is_session_lost(error: Exception) -> bool:
    """Whether the database ended the session, or was not there any more."""
    state = getattr(error.__cause__, "sqlstate", None)
    if state is not None:
        return state in LOST_STATES
    is_unanswered = isinstance(error, OperationalError) and not _is_sqlite()
    return is_unanswered or isinstance(error, InterfaceError)


def reset_connection(error: Exception) -> None:
    """Make the connection usable after an error."""
    logger.info("A transaction was rolled back: %s", type(error).__name__)
    # Django may have opened another one meanwhile, which tells nothing.
    if is_session_lost(error) or not connection.is_usable():
        drop_lost_session()


def _is_sqlite() -> bool:
    return connection.vendor == "sqlite"
