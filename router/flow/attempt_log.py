"""The attempts that were a success: a row each, in one statement a chunk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from router.contract.outcomes import Exchange
from router.models import Attempt, AttemptResult, Delivery

#: What differs between the rows of a chunk → its type.
COLUMNS = {
    "delivery_id": "bigint",
    "number": "integer",
    "trigger": "text",
    "duration_ms": "double precision",
    "request": "jsonb",
    "http_status": "smallint",
    "answer": "text",
}


def log_acknowledged(
    deliveries: Sequence[Delivery],
    *,
    run_ms: Mapping[int, float],
    exchanges: Mapping[int, Exchange],
) -> None:
    """Keep of each that it was done, how long it ran, and what was answered.

    On PostgreSQL the columns travel as arrays: a model and an expression a row cost
    forty times as much, and this is paid for every delivery.
    """
    if connection.vendor != "postgresql":
        Attempt.objects.bulk_create(
            Attempt.of(
                one,
                AttemptResult.ACKNOWLEDGED,
                duration_ms=run_ms.get(one.pk),
                exchange=exchanges.get(one.pk),
            )
            for one in deliveries
        )
        return
    rows = (_row(one, run_ms.get(one.pk), exchanges.get(one.pk)) for one in deliveries)
    with connection.cursor() as cursor:
        cursor.execute(_insert(), [list(column) for column in zip(*rows, strict=True)])


def _row(
    delivery: Delivery, run_ms: float | None, exchange: Exchange | None
) -> tuple[Any, ...]:
    """In the order of `COLUMNS`."""
    own = (delivery.pk, delivery.attempts, Attempt.trigger_of(delivery), run_ms)
    if exchange is None:
        return (*own, None, None, "")
    return (*own, json.dumps(exchange.request), exchange.status, exchange.answer)


def _insert() -> str:
    columns = ", ".join(COLUMNS)
    arrays = ", ".join(f"%s::{kind}[]" for kind in COLUMNS.values())
    return (
        f'INSERT INTO "{Attempt._meta.db_table}" '  # noqa: S608 - names of our own
        f"({columns}, result, error, traceback, ended_at) "
        f"SELECT {columns}, '{AttemptResult.ACKNOWLEDGED}', '', '', "
        f"statement_timestamp() FROM unnest({arrays}) AS done({columns})"
    )
