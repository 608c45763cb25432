"""The attempts that were a success: a row each, in one statement a chunk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from router.contract.outcomes import Exchange
from router.flow.claiming import Claim, Started
from router.flow.inserting import insertion
from router.flow.prepared import Statement
from router.models import Attempt, AttemptResult, Clock

#: What differs between the rows of a chunk → its type.
KINDS = {
    "delivery_id": "bigint",
    "number": "integer",
    "trigger": "text",
    "duration_ms": "double precision",
    "request": "jsonb",
    "http_status": "smallint",
    "answer": "text",
}


def acknowledged_log(
    claim: Claim[Any],
    *,
    run_ms: Mapping[int, float],
    exchanges: Mapping[int, Exchange],
) -> Statement:
    """Keeps of each that it was done, how long it ran, and what was answered."""
    rows = [
        _row(one, run_ms.get(one.pk), exchanges.get(one.pk)) for one in claim.deliveries
    ]
    return insertion(
        Attempt, KINDS, rows, result=AttemptResult.ACKNOWLEDGED, ended_at=Clock()
    )


def _row(
    delivery: Started, run_ms: float | None, exchange: Exchange | None
) -> tuple[Any, ...]:
    """In the order of `KINDS`."""
    own = (delivery.pk, delivery.attempts, Attempt.trigger_of(delivery), run_ms)
    if exchange is None:
        return (*own, None, None, "")
    return (*own, json.dumps(exchange.request), exchange.status, exchange.answer)
