"""Django's settings of the database."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import dj_database_url

from router.conf import POSTGRESQL_TIMEOUTS

SQLITE_OPTIONS: dict[str, Any] = {
    # Several processes write: take the lock at BEGIN, wait for it, lose nothing.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
}
#: PgBouncer refuses a session that asks for `options`: there the role has them.
STARTUP_OPTIONS = " ".join(
    f"-c {name}={value}" for name, value in POSTGRESQL_TIMEOUTS.items()
)
CONNECT_TIMEOUT_SECONDS = 5
#: A setting or a statement that one session keeps does not exist in another. It is kept
#: at once: psycopg counts the uses of a hundred texts, and handlers write more.
PREPARE_THRESHOLD = 0


def database(url: str, *, var_dir: Path, is_pooled: bool) -> dict[str, Any]:
    """From the address of PostgreSQL; without one it is SQLite, beneath `var_dir`."""
    own = {"ENGINE": "django.db.backends.sqlite3", "NAME": var_dir / "fanfare.sqlite3"}
    parsed: dict[str, Any] = {**(dj_database_url.parse(url) if url else own)}
    if parsed["ENGINE"].endswith("sqlite3"):
        return _reused(parsed, SQLITE_OPTIONS)
    parsed["DISABLE_SERVER_SIDE_CURSORS"] = is_pooled
    options: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "prepare_threshold": None if is_pooled else PREPARE_THRESHOLD,
    }
    if not is_pooled:
        options["options"] = STARTUP_OPTIONS
    return _reused(parsed, options)


def close_to_others(connection: Any, **_: Any) -> None:
    """Take SQLite's files from other accounts (a receiver of `connection_created`).

    SQLite makes them readable for everybody, and `up` is not the only program that
    makes a database.
    """
    if connection.vendor != "sqlite":
        return
    for ending in ("", "-wal", "-shm"):
        # Without a file, or another account's.
        with suppress(OSError):
            os.chmod(f"{connection.settings_dict['NAME']}{ending}", 0o600)


def _reused(parsed: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    return {
        **parsed,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**options, **parsed.get("OPTIONS", {})},
    }
