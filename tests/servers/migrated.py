"""Databases that `make test` migrates once, for others to be copies of them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

#: The variables that name them: a file, and a database beside those of the tests.
MIGRATED_SQLITE = "TEST_MIGRATED_SQLITE"
MIGRATED_POSTGRESQL = "TEST_MIGRATED_POSTGRESQL"


def copy_migrated(target: Path) -> bool:
    """Put a migrated database of SQLite there; False where none was made."""
    source = os.environ.get(MIGRATED_SQLITE)
    if source:
        with (
            closing(sqlite3.connect(source)) as migrated,
            closing(sqlite3.connect(target)) as copy,
        ):
            migrated.backup(copy)
    return bool(source)
