"""What Django is told of the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dj_database_url

SQLITE_OPTIONS: dict[str, Any] = {
    # Several processes write: take the lock at BEGIN, wait for it, lose nothing.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
}
# A stopped process must hold nobody: each below the lease of 90 s.
POSTGRESQL_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "options": "-c statement_timeout=60s -c lock_timeout=10s"
    " -c idle_in_transaction_session_timeout=75s",
}
#: What a session was told to keep, another one does not know.
PREPARE_THRESHOLD = 3


def database(url: str, *, var_dir: Path, is_pooled: bool) -> dict[str, Any]:
    """From the address of PostgreSQL; without one it is SQLite, beneath `var_dir`."""
    own = {"ENGINE": "django.db.backends.sqlite3", "NAME": var_dir / "fanfare.sqlite3"}
    found: dict[str, Any] = {**(dj_database_url.parse(url) if url else own)}
    if found["ENGINE"].endswith("sqlite3"):
        return _reused(found, SQLITE_OPTIONS)
    found["DISABLE_SERVER_SIDE_CURSORS"] = is_pooled
    threshold = None if is_pooled else PREPARE_THRESHOLD
    return _reused(found, {**POSTGRESQL_OPTIONS, "prepare_threshold": threshold})


def _reused(found: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    return {
        **found,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**options, **found.get("OPTIONS", {})},
    }
