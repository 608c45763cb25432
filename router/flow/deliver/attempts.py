"""Keeps the attempts that succeeded: one row each, one statement a chunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router.contract.outcomes import Exchange
from router.db.bulk_insert import Insert
from router.db.statements import Statement
from router.flow.lease import Claim
from router.models import Attempt, AttemptResult, Clock
from router.models.attempt import exchange_columns

#: What differs between the rows of a chunk → its type.
OWN = {
    "delivery_id": "bigint",
    "number": "integer",
    "trigger": "text",
    "duration_ms": "double precision",
}
OF_EXCHANGE = {"request": "jsonb", "http_status": "smallint", "answer": "text"}


def acknowledged_log(
    claim: Claim[Any],
    *,
    run_ms: Mapping[int, float],
    exchanges: Mapping[int, Exchange],
) -> Statement:
    """The statement that keeps each success with its run time and its response."""
    rows = [
        (row.pk, row.attempts, Attempt.trigger_of(row), run_ms.get(row.pk))
        for row in claim.deliveries
    ]
    if not exchanges:
        return _LOG.of(rows)
    values = [_exchange_values(exchanges.get(row.pk)) for row in claim.deliveries]
    return _LOG_WITH_EXCHANGES.of([a + b for a, b in zip(rows, values, strict=True)])


def _exchange_values(exchange: Exchange | None) -> tuple[Any, ...]:
    """The values of a row in the order of `OF_EXCHANGE`."""
    columns = exchange_columns(exchange)
    return tuple(columns[name] for name in OF_EXCHANGE)


def _same() -> dict[str, Any]:
    return {"result": AttemptResult.ACKNOWLEDGED, "ended_at": Clock()}


_LOG = Insert(Attempt, OWN, _same)
_LOG_WITH_EXCHANGES = Insert(Attempt, {**OWN, **OF_EXCHANGE}, _same)
