"""Places in the log as people name them: now, the beginning, a time, a position."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Max, Min, QuerySet

from router.contract.errors import InvalidRun
from router.contract.times import HELP, parse_time
from router.models import Clock, EventRecord, LogHead

#: `now`, `beginning`, or an object with one of `time` and `position`.
Place = str | Mapping[str, Any]
NOW, BEGINNING = "now", "beginning"
PLACE_HELP = (
    'must be "now", "beginning", {"time": "2026-02-03T04:05:06Z"} or {"position": 7}'
)
END_HELP = 'must be "now", {"time": "2026-02-03T04:05:06Z"} or {"position": 7}'
#: Events are committed, and get their positions, in another order than they are
#: recorded in: among so many next to a time the first and the last position count.
NEAR = 1000


def start_of(place: Place, head: LogHead) -> int:
    """The position after which the events from this place on are. An event at the
    position, or recorded at the time, is one of them.

    At the beginning are the imports, where there are any. Raises `InvalidRun` where
    there is no such place, or retention has deleted events that come after it.
    """
    if place == NOW:
        return head.position
    if place == BEGINNING:
        return head.first_whole
    start = _start_of(place, head)
    whole_after = head.pruned_to if start >= 0 else head.imports_pruned_to
    if start < whole_after:
        raise _refused(
            "/from",
            f"lies before position {whole_after + 1}, and some of the events before "
            "that position were deleted, because they are old. Begin there, or at "
            "`beginning`, which is the first position that is whole",
        )
    return start


def end_of(place: Place, head: LogHead) -> int:
    """The last position up to this place: that of an event at the position, or recorded
    before the time. Raises `InvalidRun` where there is no such place."""
    if place == NOW:
        return head.position
    match place:
        case {"position": int(position), **rest} if not (
            rest or isinstance(position, bool)
        ):
            last = head.imported if position < 0 else head.position
            return min(position, last)
        case {"time": time, **rest} if not rest:
            return _end_at(_moment(time, "/until"), head)
    raise _refused("/until", END_HELP)


def _start_of(place: Place, head: LogHead) -> int:
    match place:
        case {"position": int(position), **rest} if not (
            rest or isinstance(position, bool)
        ):
            if position > head.position + 1:
                raise _refused(
                    "/from",
                    f"lies beyond the end of the log, which is at position "
                    f"{head.position}",
                )
            return position - 1 if position <= head.imported else max(position - 1, 0)
        case {"time": time, **rest} if not rest:
            return _start_at(_moment(time, "/from"), head)
    raise _refused("/from", PLACE_HELP)


def _start_at(moment: datetime, head: LogHead) -> int:
    [now] = LogHead.objects.filter(pk=head.pk).values_list(Clock(), flat=True)
    if moment > now:
        raise _refused("/from", "is a time that has not come yet")
    later = _imported(head).filter(time__gte=moment).order_by("position")
    past: int | None = later.values_list("position", flat=True).first()
    if past is not None:
        return past - 1
    near = _routed().filter(recorded_at__gte=moment).order_by("recorded_at")[:NEAR]
    first: int | None = near.aggregate(at=Min("position"))["at"]
    if first is None:
        return head.position
    # What was deleted before it may have been recorded at that time or later.
    is_any_gone = 0 < head.pruned_to >= first - 1
    return min(first, head.pruned_to) - 1 if is_any_gone else first - 1


def _end_at(moment: datetime, head: LogHead) -> int:
    before = _routed().filter(recorded_at__lt=moment)
    near = before.order_by("-recorded_at")[:NEAR]
    last: int | None = near.aggregate(at=Max("position"))["at"]
    if last is not None:
        return last
    past = _imported(head).filter(time__lt=moment).order_by("-position")
    last = past.values_list("position", flat=True).first()
    if last == head.imported or not head.has_imports:
        # Between the imports and the live events.
        return head.pruned_to
    return head.imports_pruned_to if last is None else last


def _routed() -> QuerySet[EventRecord]:
    return EventRecord.objects.filter(position__gt=0)


def _imported(head: LogHead) -> QuerySet[EventRecord]:
    """The imports, which all were recorded lately: their own times tell. Read in their
    order, by the index of positions."""
    if not head.has_imports:
        return EventRecord.objects.none()
    return EventRecord.objects.filter(position__lt=0)


def _moment(time: object, pointer: str) -> datetime:
    if isinstance(time, datetime) and time.tzinfo is not None:
        return time
    parsed = parse_time(time)
    if parsed is None:
        raise _refused(pointer, HELP)
    return parsed[0]


def _refused(pointer: str, problem: str) -> InvalidRun:
    return InvalidRun(f"`{pointer[1:]}` {problem}.", problems=[(pointer, problem)])
