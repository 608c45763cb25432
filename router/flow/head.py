"""The lock on the log's head: whoever decides who is routed to holds it."""

from __future__ import annotations

from datetime import datetime

from router.flow.prepared import Select
from router.models import Clock, LogHead

HEAD = 1


def lock_head() -> LogHead:
    """Lock the head for the rest of the transaction, waiting for it."""
    head, _ = LogHead.objects.select_for_update().get_or_create(pk=HEAD)
    return head


def try_lock_head() -> tuple[LogHead, datetime] | None:
    """The locked head and the time by the database; None while another holds it.

    A statement of its own, before any that reads the log: a lock taken in the statement
    that reads lets that statement see the log as it was before the wait.
    """
    found = _TRY_LOCK.rows()
    if not found:
        return None
    [(position, now)] = found
    return LogHead(pk=HEAD, position=position), now


_TRY_LOCK = Select(
    lambda: (
        LogHead.objects.select_for_update(skip_locked=True)
        .filter(pk=HEAD)
        .values_list("position", Clock())
    )
)
