"""SQLite has one writer at a time, and keeps nobody's turn: two workers whose chunks
follow each other let a publisher wait until it gives up. So chunks of all subscribers
share one lock, which is held through a rest as long as the chunk."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

#: SQLite looks at least so often whether it may write, however long it has waited.
MAX_REST_SECONDS = 0.1


@contextmanager
def others_may_write() -> Iterator[None]:
    """Run one chunk at a time on SQLite, and let others write for as long after it."""
    if not _has_one_writer():
        yield
        return
    with open(f"{connection.settings_dict['NAME']}-chunk", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        began_at = time.monotonic()
        try:
            yield
        finally:
            time.sleep(min(time.monotonic() - began_at, MAX_REST_SECONDS))


def _has_one_writer() -> bool:
    """Within a transaction this process is the one writer already."""
    own: Any = connection
    return (
        own.vendor == "sqlite" and not own.is_in_memory_db() and not own.in_atomic_block
    )
