"""The session that the router gets from the database: why none, and its timeouts."""

from __future__ import annotations

from django.db import OperationalError, connection

from router.conf import POSTGRESQL_TIMEOUTS

POOLER_REMEDY = (
    "A pooler is before the database: set DATABASE_POOLER=true (elsewhere: leave "
    'OPTIONS["options"] out), and give the role its timeouts by ALTER ROLE.'
)


def why(error: Exception) -> str:
    """The driver's own words for a database that does not answer, without a password.

    Of any other error the type alone: its words may quote a customer's data.
    """
    if not isinstance(error, OperationalError):
        return type(error).__name__
    return first_line(error, secret=connection.settings_dict.get("PASSWORD"))


def first_line(error: Exception, *, secret: str | None) -> str:
    """The first line of the error's words, without the secret; else its type."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().replace(secret, "…") if secret else lines[0].strip()


def remedy(error: Exception) -> str:
    """What an operator can do about a session that could not be had."""
    if "startup parameter" in str(error):
        return POOLER_REMEDY
    return "Start the database, or correct DATABASE_URL."


def alter_role(name: str) -> str:
    """The statement that gives every new session of the router's role this timeout."""
    role = connection.ops.quote_name(connection.settings_dict.get("USER") or "fanfare")
    return f"ALTER ROLE {role} SET {name} = '{POSTGRESQL_TIMEOUTS[name]}'"


def timeouts_in_force() -> dict[str, float]:
    """`POSTGRESQL_TIMEOUTS` as they are in a session, in seconds; 0 is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting::float8 / 1000 FROM pg_settings WHERE name = ANY(%s)",
            [list(POSTGRESQL_TIMEOUTS)],
        )
        timeouts: dict[str, float] = dict(cursor.fetchall())
    return {name: timeouts[name] for name in POSTGRESQL_TIMEOUTS}
