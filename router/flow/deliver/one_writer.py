"""SQLite has one writer at a time: chunks leave publishers their turn.

A publisher asks again and again for the lock of the database, with ever longer pauses.
Workers that serve chunks back to back would hardly ever leave it to one.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

#: A process that is frozen must not hold up the others: then they go on without it.
MAX_WAIT_SECONDS = 2.0
PAUSE_SECONDS = 0.005
#: A rest is as long as its chunk, and no longer than this.
MAX_REST_SECONDS = 0.5


def chunk_lock() -> Path | None:
    """The file that serves as the lock of all chunks; None but for SQLite in a file."""
    if connection.vendor != "sqlite":
        return None
    database = Path(str(connection.settings_dict["NAME"]))
    return database.with_name(f"{database.name}-chunk") if database.is_file() else None


@contextmanager
def one_at_a_time(lock: Path | None) -> Iterator[None]:
    """Let no other process or thread into such a block meanwhile, nor for as long
    again; without a lock nothing waits."""
    if lock is None:
        yield
        return
    file = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        _wait_for(file)
        began_at = time.monotonic()
        yield
        time.sleep(min(time.monotonic() - began_at, MAX_REST_SECONDS))
    finally:
        os.close(file)


def _wait_for(file: int) -> None:
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_SECONDS)
        else:
            return
