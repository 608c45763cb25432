"""The database's session that a worker keeps from task to task."""

from __future__ import annotations

import math
import select
import time
from collections.abc import MutableMapping
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connection, connections

from router.conf import conf

#: Django's connection, one a thread → when it last lost its session.
_lost_at: MutableMapping[Any, float] = WeakKeyDictionary()


def look_at_session() -> None:
    """Drop a session that is of no use any more: the next statement opens another.

    Celery never looks: a worker whose session the database ended would fail every
    task from then on.
    """
    database: Any = connections[DEFAULT_DB_ALIAS]
    if database.connection is not None and _is_lost(database):
        drop_lost_session()
        return
    database.close_if_unusable_or_obsolete()
    # Django would ask `SELECT 1` now, a round trip for every task.
    database.health_check_done = True


def drop_lost_session() -> None:
    """Close what is left of it, and be wary from now on."""
    _lost_at[connections[DEFAULT_DB_ALIAS]] = time.monotonic()
    connection.close()


def is_wary() -> bool:
    """Whether a session of this thread was lost a short while ago."""
    lost_at = _lost_at.get(connections[DEFAULT_DB_ALIAS], -math.inf)
    return time.monotonic() - lost_at < conf().wary_seconds


def _is_lost(database: Any) -> bool:
    """Whether the server has gone; asks only where there is a reason to."""
    if database.vendor != "postgresql":
        return False
    if database.connection.closed:
        return True
    return _is_suspicious(database) and not database.is_usable()


def _is_suspicious(database: Any) -> bool:
    """Whether a statement failed, or the server wrote since its last answer, as it does
    when it ends a session."""
    poll = select.poll()
    poll.register(database.connection.fileno(), select.POLLIN)
    return database.errors_occurred or bool(poll.poll(0))
