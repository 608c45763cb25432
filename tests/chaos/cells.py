"""The combinations that are tested: database, broker, and pool of the workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Seconds in place of minutes, in the same order as in production.
TIMES: dict[str, Any] = {
    "time_limit_seconds": 2,
    "lease_seconds": 3,
    "mark_seconds": 1,
    "wary_seconds": 2,
    "heartbeat_seconds": 0.5,
    "stale_after_seconds": 5,
    "retry_maximum_seconds": 4,
    "probe_first_seconds": 0.2,
    "probe_maximum_seconds": 0.5,
    "webhook_deadline_seconds": 1,
    "webhook_waits_seconds": [1] * 9,
}
#: Receivers are on this machine.
ROUTER = {**TIMES, "webhook_allowed_networks": ["127.0.0.0/8"]}


@dataclass(frozen=True, kw_only=True)
class Cell:
    database: str
    broker: str
    pool: str
    is_naive: bool = False

    @property
    def name(self) -> str:
        return f"{self.database}-{self.broker}-{self.pool}"


def _cells(*, is_naive: bool) -> dict[str, Cell]:
    cells = [
        Cell(database=database, broker=broker, pool=pool, is_naive=is_naive)
        for database, broker in (
            ("sqlite", "valkey"),
            ("postgresql", "valkey"),
            ("postgresql", "rabbitmq"),
        )
        for pool in ("prefork", "threads")
    ]
    return {cell.name: cell for cell in cells}


CELLS = _cells(is_naive=False)
#: The same for plain Celery.
NAIVE = _cells(is_naive=True)
QUICK = "postgresql-valkey-prefork"
