"""Each call of an API key is counted before its work, in one statement on its row."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from router.conf import conf
from router.models import ApiKey

# One moment for the whole statement, and the database's: hosts differ.
EPOCH = {
    "postgresql": "FLOOR(EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP()))::bigint",
    "sqlite": "CAST(STRFTIME('%%s', 'NOW') AS INTEGER)",
}
COUNT = """
    UPDATE {table} SET
        calls_count = CASE WHEN minute = {epoch} / 60 THEN calls_count + 1 ELSE 1 END,
        minute = {epoch} / 60,
        last_used_at = {now}
    WHERE digest = %s{quickly}
    RETURNING *, {epoch} %% 60 AS second
"""
NOW = {
    "postgresql": "STATEMENT_TIMESTAMP()",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
}
# A count need not outlive the machine's power: its commit does not wait for the disk.
QUICKLY = " AND SET_CONFIG('synchronous_commit', 'off', true) IS NOT NULL"


@dataclass(frozen=True, kw_only=True)
class Meter:
    """What a key may still call in this minute, this call taken off."""

    limit: int
    remaining: int
    reset_seconds: int
    is_spent: bool


def count_call(digest: str) -> tuple[ApiKey, Meter] | None:
    """The key of this digest with its call counted; None for a digest nobody has."""
    keys = list(ApiKey.objects.raw(_statement(), [digest]))
    if not keys:
        return None
    key = keys[0]
    limit = key.calls_per_minute or conf().api_calls_per_minute
    return key, Meter(
        limit=limit,
        remaining=max(0, limit - key.calls_count),
        reset_seconds=60 - key.second,  # type: ignore[attr-defined]  # of the statement
        is_spent=key.calls_count > limit,
    )


def _statement() -> str:
    # Within a transaction it would hold for all that the transaction writes.
    is_own = connection.vendor == "postgresql" and not connection.in_atomic_block
    return COUNT.format(
        table=connection.ops.quote_name(ApiKey._meta.db_table),
        epoch=EPOCH[connection.vendor],
        now=NOW[connection.vendor],
        quickly=QUICKLY if is_own else "",
    )
