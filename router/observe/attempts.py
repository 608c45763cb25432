"""The newest attempts of one subscriber, and the chunks that it acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from router.models import (
    OPEN_FIRST,
    Acknowledgement,
    Attempt,
    AttemptResult,
    Cursor,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    Subscriber,
)
from router.observe.event_types import known_types
from router.observe.last_failure import words_of

#: Attempts have no index by subscriber: so many of the whole router, the newest, are
#: looked at.
LOOK_BACK = 50_000
#: A subscriber with fewer attempts among these is quiet, beside busy neighbours.
QUIET = 500
#: Of the types of a quiet subscriber no more are looked at.
MAX_TYPES = 20


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
    """Its attempts among the newest `LOOK_BACK` of the router, the newest first.

    Of a quiet subscriber also those of what it is owed or was given up, and of the
    newest events of its types: `QUIET` of each.
    """
    recent = _recent(subscriber)
    keys = list(recent.values_list("pk", flat=True)[:QUIET])
    rows = recent
    if len(keys) < QUIET:
        rows = Attempt.objects.filter(pk__in=[*keys, *_older(subscriber)])
    return rows.order_by("-pk").select_related("delivery").defer("traceback", "request")


def last_tried(
    subscriber: Subscriber,
    limit: int,
    *,
    since: datetime | None = None,
    is_failed: bool = False,
) -> list[Tried]:
    """Its last attempts and chunks together, the newest first: those that ended at
    `since` or later; with `is_failed`, no success."""
    attempts, chunks = attempts_of(subscriber), _chunks(subscriber, limit)
    if is_failed:
        attempts = attempts.exclude(result=AttemptResult.ACKNOWLEDGED)
    tried = [_of_attempt(each) for each in attempts[:limit]]
    tried += [] if is_failed else map(_of_chunk, chunks)
    newest = sorted(tried, key=lambda each: each.ended_at, reverse=True)[:limit]
    return [each for each in newest if since is None or each.ended_at >= since]


def _recent(subscriber: Subscriber) -> QuerySet[Attempt]:
    newest = Attempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    # One delivery after the other: for a join PostgreSQL may read all that there are.
    delivery = Delivery.objects.filter(pk=OuterRef("delivery_id"))
    rows = Attempt.objects.alias(owed_to=Subquery(delivery.values("subscriber_id")))
    rows = rows.filter(pk__gt=newest - LOOK_BACK, owed_to=subscriber.pk)
    return rows.order_by("-pk")


def _older(subscriber: Subscriber) -> QuerySet[Any, Any]:
    """Keys of attempts of a quiet subscriber, by indexes of what it has."""
    owed = Delivery.objects.filter(subscriber=subscriber)
    failing = owed.filter(state=DeliveryState.PENDING, last_failed_at__isnull=False)
    given_up = FailedTask.objects.filter(subscriber=subscriber)
    of_events = owed.filter(event_id__in=_newest_events(subscriber))
    deliveries = {
        *failing.order_by("-last_failed_at").values_list("pk", flat=True)[:QUIET],
        *given_up.order_by(OPEN_FIRST, "-pk").values_list("delivery", flat=True)[
            :QUIET
        ],
        *of_events.values_list("pk", flat=True),
    }
    attempts = Attempt.objects.filter(delivery__in=list(deliveries)).order_by("-pk")
    return attempts.values_list("pk", flat=True)[:QUIET]


def _newest_events(subscriber: Subscriber) -> list[int]:
    """Numbers of the newest events of its types, the newest first."""
    events = EventRecord.objects.order_by("-number").values_list("number", flat=True)
    exact = {each for each in subscriber.events if not each.endswith("*")}
    types = sorted(exact | {*known_types(subscriber.events)})[:MAX_TYPES]
    numbers = [pk for each in types for pk in events.filter(type=each)[:QUIET]]
    return sorted(numbers, reverse=True)[:QUIET]


def _chunks(subscriber: Subscriber, limit: int) -> Iterator[Acknowledgement]:
    """The newest chunks of its live cursor, and of its newest run."""
    cursors = Cursor.objects.filter(subscriber=subscriber).order_by("run")
    keys = list(cursors.values_list("pk", flat=True))
    for pk in {*keys[:1], *keys[-1:]}:
        chunks = Acknowledgement.objects.filter(cursor=pk)
        yield from chunks.order_by("-last")[:limit]


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
