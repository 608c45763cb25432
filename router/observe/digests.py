"""Count and digest of what a subscriber was owed in a window of positions, in parts: a
receiver that computes the same of what it holds learns where the two differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import OuterRef, Subquery

from router.contract.digest import MODULUS, digest_of
from router.contract.errors import InvalidWindow
from router.flow.cursor.asking import Asking
from router.flow.cursor.filling import STEP, next_owed
from router.models import (
    Cursor,
    EventRecord,
    LogHead,
    Run,
    RunKind,
    RunState,
    Subscriber,
)
from router.observe.live_cursors import live_cursor_of

MAX_PARTS = 64
#: A wider window takes too long for one call.
MAX_POSITIONS = 20_000
#: Positions above the first and up to the second, and what is asked for there.
Stretch = tuple[int, int, Asking]


@dataclass(kw_only=True)
class Part:
    """The events owed at the positions from `first` to `last`."""

    first: int
    last: int
    count: int = 0
    digest: int = 0
    #: The last of them, without its data.
    event: EventRecord | None = None

    def add(self, event: EventRecord) -> None:
        name = (event.source, event.event_id)
        self.count += 1
        self.digest = (self.digest + digest_of([name])) % MODULUS
        self.event = event


@dataclass(frozen=True, kw_only=True)
class Window:
    """What a subscriber was owed at the positions from `first` to `last`, in parts of
    one size; without parts where `last` comes before `first`."""

    first: int
    last: int
    #: Up to it the subscriber was served, or has deliveries.
    position: int
    parts: list[Part] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(part.count for part in self.parts)

    @property
    def digest(self) -> int:
        return sum(part.digest for part in self.parts) % MODULUS


def window_of(
    subscriber: Subscriber, *, first: int | None = None, last: int | None = None
) -> Window:
    """What the subscriber was owed in this window, by what it asked for at each
    position; events that only a replay gave are not counted.

    Without `first` the window begins where the log is whole, with the imports where it
    was owed any; without `last` it ends where the subscriber stands, or after
    `MAX_POSITIONS`. It ends with the imports, and begins with the live events where
    `first` lies between the two. The statements read `STEP` positions each. Raises
    `InvalidWindow`.
    """
    head = LogHead.objects.first() or LogHead()
    # None where a release that knew no cursors made the subscriber.
    live = live_cursor_of(subscriber)
    position = live.position if live and live.is_in_use else head.position
    since = live.start if live else subscriber.live_from
    asking = live.asking if live else Asking.of(subscriber)
    imports_to = live.imports_to if live else None
    own = _parts_of(since, head.position, imports_to, asking)
    asked = [*_backfilled(subscriber), *own]
    if first is None and any(after < 0 for after, *_ in asked):
        first = head.first_whole + 1
    start, end = _bounds(first, last, position, head)
    parts = list(_parts(start, end))
    window = Window(first=start, last=end, position=position, parts=parts)
    _count(subscriber, asked, window)
    # What was pruned meanwhile is not among the events that were read.
    _check_pruned(start, LogHead.objects.first() or head)
    return window


def _parts(first: int, last: int) -> Iterator[Part]:
    size = -(-(last - first + 1) // MAX_PARTS)
    while first <= last:
        yield Part(first=first, last=min(last, first + size - 1))
        first += size


def _backfilled(subscriber: Subscriber) -> Iterator[Stretch]:
    backfills = Run.objects.filter(subscriber=subscriber, kind=RunKind.BACKFILL)
    of_run = Cursor.objects.filter(subscriber=subscriber, run=OuterRef("number"))
    imports_to = Subquery(of_run.values("imports_to")[:1])
    runs: Any = backfills.with_position().annotate(imports_to=imports_to)
    for run in runs:
        asking = Asking.of_run(subscriber, run)
        yield from _parts_of(run.start, _end(run), run.imports_to, asking)


def _parts_of(
    after: int, to: int, imports_to: int | None, asking: Asking
) -> Iterator[Stretch]:
    """What a cursor reads from one position to another: of the imports those that were
    there when it passed them."""
    if after < 0:
        yield after, min(to, -1 if imports_to is None else imports_to), asking
    if to > 0:
        yield max(after, 0), to, asking


def _end(run: Any) -> int:
    end: int = run.position if run.state == RunState.CANCELLED else run.end
    return end


def _count(subscriber: Subscriber, asked: Sequence[Stretch], window: Window) -> None:
    if not window.parts:
        return
    size = window.parts[0].last - window.first + 1
    for after, to, asking in asked:
        after, to = max(after, window.first - 1), min(to, window.last)
        for event in _owed(subscriber, asking, after, to):
            place = (event.position or 0) - window.first
            window.parts[place // size].add(event)


def _owed(
    subscriber: Subscriber, asking: Asking, after: int, to: int
) -> Iterator[EventRecord]:
    events = EventRecord.objects.filter(asking.ever(subscriber))
    while after < to:
        # A filter that raises decides nothing: the event is owed.
        owed, after = next_owed(
            events, asking, after=after, to=to, limit=STEP, broken={}
        )
        yield from owed


def _bounds(
    first: int | None, last: int | None, position: int, head: LogHead
) -> tuple[int, int]:
    for pointer, place in {"/from": first, "/to": last}.items():
        if place is not None and place > head.position:
            raise _refused(
                pointer,
                f"lies beyond the end of the log, which is at position {head.position}",
            )
    start = head.pruned_to + 1 if first is None else first
    if head.imported < start < 0:
        # At the gap: on to the live events.
        start = head.pruned_to + 1
        last = None if last is None or last < start else _cut(start, last)
    elif start < 0:
        position = head.imported if position >= 0 else position
        last = None if last is None else _cut(start, min(last, head.imported))
    _check_pruned(start, head)
    if last is None:
        return start, max(start - 1, _cut(start, position))
    if last < start:
        raise _refused("/to", f"is before the start, which is position {start}")
    if last - start >= MAX_POSITIONS:
        raise _refused(
            "/to",
            f"is too far: a window has {MAX_POSITIONS:,} positions at most, ask for "
            "more of them in parts",
        )
    return start, last


def _cut(start: int, last: int) -> int:
    """The last position up to `last` that a window from `start` on may have."""
    return min(last, start + MAX_POSITIONS - 1)


def _check_pruned(start: int, head: LogHead) -> None:
    whole_after = head.imports_pruned_to if start < 0 else head.pruned_to
    if start <= whole_after:
        raise _refused(
            "/from",
            f"lies before position {whole_after + 1}, and some of the events before "
            "that position were deleted, because they are old. Begin there",
        )


def _refused(pointer: str, problem: str) -> InvalidWindow:
    return InvalidWindow(f"`{pointer[1:]}` {problem}.", problems=[(pointer, problem)])
