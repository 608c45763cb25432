"""What happens, line by line: events as they are published, attempts as they end, and
what is acknowledged in the stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rich.text import Text

from router.management.terminal import age
from router.models import Acknowledgement, Attempt, AttemptResult, EventRecord
from router.observe.chunks import AcknowledgedChunk, acknowledged_chunks
from router.observe.progress import error_class

#: Rows may commit after rows with higher numbers: look this far back for them.
LOOK_BACK = 500
#: Rows that one look reads at most; further rows are shown later.
READ_LIMIT = 1_000


@dataclass(frozen=True, kw_only=True)
class Line:
    at: datetime
    text: Text


@dataclass
class Follower:
    """Gives each row of a growing table once, also one that commits late."""

    rows: QuerySet[Any]
    seen: deque[int] = field(default_factory=lambda: deque(maxlen=LOOK_BACK * 4))

    def last(self, count: int) -> list[Any]:
        """The last `count` rows; everything up to them counts as seen."""
        rows = list(self.rows.order_by("-pk")[: max(count, LOOK_BACK)])[::-1]
        self.seen.extend(row.pk for row in rows)
        return rows[-count:] if count else []

    def new(self) -> list[Any]:
        """What has come since, oldest first."""
        newest = max(self.seen, default=0)
        # The numbers alone: mostly nothing is new, and the rest is several tables.
        numbers = self.rows.filter(pk__gt=newest - LOOK_BACK).order_by("pk")
        near = numbers.values_list("pk", flat=True)[: LOOK_BACK + READ_LIMIT]
        unseen = sorted(set(near).difference(self.seen))[:READ_LIMIT]
        self.seen.extend(unseen)
        return list(self.rows.filter(pk__in=unseen).order_by("pk")) if unseen else []


class Tail:
    """Follows the event log, the attempts and the chunks that are acknowledged; never
    reads an event's data."""

    def __init__(self) -> None:
        events = EventRecord.objects.defer("data", "extensions")
        attempts = Attempt.objects.defer("traceback", "delivery__event__data")
        self._events = Follower(events)
        self._attempts = Follower(
            attempts.select_related("delivery__event", "delivery__subscriber")
        )
        self._chunks = Follower(Acknowledgement.objects.all())

    def last(self, count: int) -> list[Line]:
        lines = self._lines(lambda rows: rows.last(count))
        return lines[-count:] if count else []

    def new(self) -> list[Line]:
        return self._lines(Follower.new)

    def _lines(self, read: Callable[[Follower], list[Any]]) -> list[Line]:
        lines = [
            *map(_event_line, read(self._events)),
            *map(_attempt_line, read(self._attempts)),
            *map(_chunk_line, acknowledged_chunks(read(self._chunks))),
        ]
        return sorted(lines, key=lambda line: line.at)


def _event_line(event: EventRecord) -> Line:
    rest = Text(f"published by {event.source}", style="bold")
    return Line(at=event.recorded_at, text=_text(event.recorded_at, _of(event), rest))


def _attempt_line(attempt: Attempt) -> Line:
    delivery = attempt.delivery
    rest = Text(f"→ {delivery.subscriber.name} ")
    for words, style in _outcome(attempt):
        rest.append(words, style=style)
    text = _text(attempt.ended_at, _of(delivery.event), rest)
    return Line(at=attempt.ended_at, text=text)


def _chunk_line(chunk: AcknowledgedChunk) -> Line:
    took = "" if chunk.run_ms is None else f" in {chunk.run_ms:.0f} ms"
    if chunk.count == 1:
        what, words = f"#{chunk.last_number} {chunk.type}", f"acknowledged{took}"
    else:
        what = f"#{chunk.first_number} to #{chunk.last_number}"
        words = f"acknowledged {chunk.count:,} events{took and took + ' each'}"
    rest = Text(f"→ {chunk.subscriber.name} ").append(words, style="green")
    return Line(at=chunk.acknowledged_at, text=_text(chunk.acknowledged_at, what, rest))


def _outcome(attempt: Attempt) -> Iterator[tuple[str, str]]:
    cause = error_class(attempt.error)
    match AttemptResult(attempt.result):
        case AttemptResult.ACKNOWLEDGED:
            took = attempt.duration_ms
            yield (
                "acknowledged" + ("" if took is None else f" in {took:.0f} ms"),
                ("green"),
            )
        case AttemptResult.RETRY:
            wait = attempt.wait_seconds
            yield "retry" + ("" if wait is None else f" in {age(wait)}"), "yellow"
        case AttemptResult.DEAD:
            yield "given up: needs attention", "bold red"
        case AttemptResult.VANISHED:
            yield "vanished with its worker", "yellow"
        case AttemptResult.UNCOUNTED:
            yield "failed, does not count against the event", "dim"
    if cause:
        yield f" ({cause})", "dim"


def _of(event: EventRecord) -> str:
    return f"#{event.pk} {event.type}"


def _text(at: datetime, what: str, rest: Text) -> Text:
    time = timezone.localtime(at).strftime("%H:%M:%S.%f")[:-3]
    text = Text(f"{time} ", style="", no_wrap=True, overflow="ellipsis")
    return text.append(f"{what} ").append_text(rest)
