"""Events sent to a foreign router, without a subscriber, and what became of each."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from router.contract.event import Event
from router.contract.outcomes import Acknowledged, Dead, Retry
from router.transports.base import Request, Terms
from router.transports.batches import BatchTransport

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def requests(keys: str) -> list[Request]:
    """An event for each letter, which is its key; its id has its place."""
    return [
        Request(
            key=place,
            event=Event(
                id=f"e{place}.",
                source="/test",
                type="thing.happened",
                time=NOW,
                partitionkey=key,
            ),
        )
        for place, key in enumerate(keys)
    ]


def outcomes_of(kind: str, target: dict[str, Any], keys: str) -> dict[int, str | None]:
    """What became of each: an error's kind, or the name of the outcome."""
    ends_at = time.monotonic() + 60
    terms = Terms(in_flight=10, rate=None, deadline_seconds=10, ends_at=ends_at)
    waves = BatchTransport(kind, target, terms).send(requests(keys))
    named: dict[int, str | None] = {}
    for answer in (answer for wave in waves for answer in wave):
        assert answer.key not in named
        match answer.outcome:
            case Retry():
                named[answer.key] = answer.outcome.evidence.kind
            case Dead():
                named[answer.key] = "dead"
            case Acknowledged():
                named[answer.key] = "sent"
            case None:
                named[answer.key] = None
    return named
