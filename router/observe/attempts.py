"""The newest attempts of one subscriber, and the chunks that it acknowledged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from router.models import Acknowledgement, Attempt, AttemptResult, Subscriber
from router.observe.last_failure import words_of

#: Attempts have no index by subscriber: so many of the whole router, the newest, are
#: looked at.
LOOK_BACK = 50_000


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One attempt, or one chunk of events that were acknowledged together."""

    ended_at: datetime
    result: AttemptResult
    #: What the receiver answered, or the error; "" of a success without an answer.
    words: str
    run_ms: float | None
    #: None of a chunk, which has `count` events from position `first`.
    delivery_id: int | None = None
    event_number: int | None = None
    count: int = 1
    first: int | None = None


def attempts_of(subscriber: Subscriber) -> QuerySet[Attempt]:
    """Its attempts among the newest `LOOK_BACK` of the router, the newest first."""
    rows = _newest(Attempt.objects.filter(delivery__subscriber=subscriber), Attempt)
    return rows.select_related("delivery").defer("traceback", "request")


def last_tried(subscriber: Subscriber, limit: int) -> list[Tried]:
    """Its last attempts and chunks together, the newest first; four statements."""
    chunks = Acknowledgement.objects.filter(cursor__subscriber=subscriber)
    tried = [
        *map(_of_attempt, attempts_of(subscriber)[:limit]),
        *map(_of_chunk, _newest(chunks, Acknowledgement)[:limit]),
    ]
    return sorted(tried, key=lambda each: each.ended_at, reverse=True)[:limit]


def _newest(rows: QuerySet[Any], model: Any) -> QuerySet[Any]:
    every = model.objects.order_by("-pk").values_list("pk", flat=True)
    last = every.first() or 0
    return rows.filter(pk__gt=last - LOOK_BACK).order_by("-pk")


def _of_attempt(attempt: Attempt) -> Tried:
    return Tried(
        ended_at=attempt.ended_at,
        result=AttemptResult(attempt.result),
        words=words_of(attempt),
        run_ms=attempt.duration_ms,
        delivery_id=attempt.delivery_id,
        event_number=attempt.delivery.event_id,
    )


def _of_chunk(chunk: Acknowledgement) -> Tried:
    return Tried(
        ended_at=chunk.acknowledged_at,
        result=AttemptResult.ACKNOWLEDGED,
        words="",
        run_ms=chunk.run_ms,
        count=chunk.count,
        first=chunk.first,
    )
