"""The database's session that a worker keeps from task to task."""

from __future__ import annotations

import select

from django.db import connection


def look_at_session() -> None:
    """Drop a session that is of no use any more: the next statement opens another.

    Celery never looks: a worker whose session the database ended would fail every
    task from then on.
    """
    connection.close_if_unusable_or_obsolete()
    if connection.connection is not None and _is_silent():
        # Django would ask `SELECT 1` now, a round trip for every task.
        connection.health_check_done = True  # type: ignore[attr-defined]  # the stubs lack it


def _is_silent() -> bool:
    """Nothing was said since the last answer: who ends a session says so."""
    if connection.vendor != "postgresql":
        return False
    poll = select.poll()
    poll.register(connection.connection.fileno(), select.POLLIN)
    return not poll.poll(0)
