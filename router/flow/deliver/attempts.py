"""The attempts that were a success: a row each, in one statement a chunk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from router.contract.outcomes import Exchange
from router.db.bulk_insert import Insert
from router.db.statements import Statement
from router.flow.lease import Claim
from router.models import Attempt, AttemptResult, Clock

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
    """Keeps of each that it was done, how long it ran, and what was answered."""
    rows = [
        (one.pk, one.attempts, Attempt.trigger_of(one), run_ms.get(one.pk))
        for one in claim.deliveries
    ]
    if not exchanges:
        return _LOG.of(rows)
    told = [_told(exchanges.get(one.pk)) for one in claim.deliveries]
    return _LOG_WITH_EXCHANGES.of([a + b for a, b in zip(rows, told, strict=True)])


def _told(exchange: Exchange | None) -> tuple[Any, ...]:
    """In the order of `OF_EXCHANGE`."""
    if exchange is None:
        return (None, None, "")
    return (json.dumps(exchange.request), exchange.status, exchange.answer)


def _same() -> dict[str, Any]:
    return {"result": AttemptResult.ACKNOWLEDGED, "ended_at": Clock()}


_LOG = Insert(Attempt, OWN, _same)
_LOG_WITH_EXCHANGES = Insert(Attempt, {**OWN, **OF_EXCHANGE}, _same)
