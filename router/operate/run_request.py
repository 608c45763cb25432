"""What a backfill or a replay is asked to do, checked against the log as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Max
from django.utils.translation import gettext

from router.contract.dialects import filter_problems
from router.contract.errors import DoesNotApply, InvalidRun, named
from router.contract.filters import is_covered, matches_any, pattern_problem
from router.models import (
    LIVE,
    Cursor,
    EventRecord,
    LogHead,
    Run,
    RunKind,
    RunState,
    Subscriber,
    Transport,
)
from router.operate.log_places import BEGINNING, NOW, Place, end_of, start_of
from router.registry import find

MAX_CHOSEN = 1_000
MIN_RATE, MAX_RATE = 0.001, 10_000.0
Problem = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A backfill, or a replay; what is not given is as the subscriber has it today."""

    kind: RunKind
    start: Place = BEGINNING
    #: Of a replay: its end. No run passes the live cursor.
    until: Place = NOW
    #: Patterns of event types, and a filter.
    events: Sequence[str] | None = None
    filter: Mapping[str, Any] | None = None
    #: Of a replay: it retries what was given up, and gives nothing else.
    only_failed: bool = False
    #: Of a replay: the numbers of the only events to give, instead of a window.
    chosen: Sequence[int] | None = None
    rate_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """The columns of the run that a request asks for."""

    kind: RunKind
    start: int
    end: int
    events: list[str]
    filter: Mapping[str, Any] | None
    only_failed: bool
    chosen: list[int] | None
    rate_per_second: float | None


def plan_of(subscriber: Subscriber, request: RunRequest, head: LogHead) -> RunPlan:
    """What the request comes to; nothing is written.

    Raises `InvalidRun` naming what is wrong, or `DoesNotApply`.
    """
    _refuse([*_problems(subscriber, request)])
    events = list(subscriber.events if request.events is None else request.events)
    start, end, chosen = _window(subscriber, request, events, head)
    if end < start:
        raise _invalid("/until", f"is before the start, which is position {start + 1}")
    return RunPlan(
        kind=request.kind,
        start=start,
        end=end,
        events=events,
        filter=subscriber.filter if request.filter is None else request.filter,
        only_failed=request.only_failed,
        chosen=chosen,
        rate_per_second=request.rate_per_second,
    )


def needs_confirmation(subscriber: Subscriber, request: RunRequest) -> bool:
    """Whether it gives events once more to a handler that does not say it is
    idempotent. What was given up has had no effect yet."""
    is_repeated = request.kind == RunKind.REPLAY and not request.only_failed
    if not is_repeated or subscriber.transport != Transport.HANDLER:
        return False
    declaration = find(subscriber.name)
    return declaration is None or not declaration.is_idempotent


def rate_problems(rate: float | None) -> Iterator[Problem]:
    """What is wrong with a rate."""
    if rate is not None and not MIN_RATE <= rate <= MAX_RATE:
        problem = f"must be from {MIN_RATE} to {MAX_RATE:,.0f}, or null for no limit"
        yield "/rate_per_second", problem


def _problems(subscriber: Subscriber, request: RunRequest) -> Iterator[Problem]:
    yield from rate_problems(request.rate_per_second)
    if request.filter is not None:
        for pointer, problem in filter_problems(request.filter):
            yield f"/filter{pointer}", problem
    for index, pattern in enumerate(request.events or ()):
        refused = pattern_problem(pattern) or _limit_problem(subscriber, pattern)
        if refused:
            yield f"/types/{index}", refused
    if request.events is not None and not request.events:
        yield "/types", "must name at least one event type or pattern"
    if request.kind == RunKind.BACKFILL:
        yield from _backfill_problems(request)
    yield from _chosen_problems(request)


def _limit_problem(subscriber: Subscriber, pattern: str) -> str | None:
    allowed = subscriber.allowed_types
    if is_covered(pattern, allowed):
        return None
    return f"is beyond the subscriber's `allowed_types`: {', '.join(allowed)}"


def _backfill_problems(request: RunRequest) -> Iterator[Problem]:
    own = {"/until": request.until != NOW, "/only_failed": request.only_failed}
    for pointer, is_given in {**own, "/events": request.chosen is not None}.items():
        if is_given:
            yield pointer, "belongs to a replay: a backfill ends where the live begins"


def _chosen_problems(request: RunRequest) -> Iterator[Problem]:
    chosen = request.chosen
    if chosen is None:
        return
    if not 1 <= len(chosen) <= MAX_CHOSEN:
        yield "/events", f"must name from 1 to {MAX_CHOSEN:,} events by their numbers"
    if request.start != BEGINNING or request.until != NOW:
        yield "/events", "can't be given beside a window: leave `from` and `until` out"
    if request.only_failed:
        yield "/events", "can't be given beside `only_failed`: retry the failed tasks"


def _window(
    subscriber: Subscriber, request: RunRequest, events: Sequence[str], head: LogHead
) -> tuple[int, int, list[int] | None]:
    live = _live_position(subscriber, head)
    if request.kind == RunKind.BACKFILL:
        return *_unseen(subscriber, start_of(request.start, head), head), None
    if request.chosen is not None:
        positions = _chosen_positions(request.chosen, events, live)
        return min(positions) - 1, max(positions), sorted(set(request.chosen))
    start = start_of(request.start, head)
    if start > live:
        raise _invalid(
            "/from",
            f"is after position {live}, up to which the subscriber was served: later "
            "events come by themselves",
        )
    return start, min(live, end_of(request.until, head)), None


def _live_position(subscriber: Subscriber, head: LogHead) -> int:
    """Up to where the subscriber has had, or is owed by rows, what it wanted."""
    cursors = Cursor.objects.in_use().filter(subscriber=subscriber, run=LIVE)
    positions = cursors.values_list("position", flat=True)
    return min([head.position, *positions])


def _unseen(subscriber: Subscriber, start: int, head: LogHead) -> tuple[int, int]:
    """The part after `start` that comes before all that the subscriber has had.

    Raises `DoesNotApply`.
    """
    if subscriber.is_ordered:
        raise DoesNotApply(
            gettext(
                "%(subscriber)s gets events in the order of their keys: older "
                "ones can't come before those that it has had. Create a "
                "subscriber that starts there, or replay them: they then come "
                "after newer ones."
            )
            % {"subscriber": subscriber.name}
        )
    backfills = Run.objects.filter(subscriber=subscriber, kind=RunKind.BACKFILL)
    if backfills.open().exists():
        raise DoesNotApply(
            gettext("A backfill is under way: cancel it first, or wait for it.")
        )
    end = _lowest_start(subscriber, backfills)
    passed = _last_passed_import(subscriber)
    if start < 0 and passed is not None and passed < head.imported:
        # Imported after a backfill had passed the imports.
        start, end = max(start, passed), 0
    if start >= end:
        raise DoesNotApply(
            gettext(
                "%(subscriber)s has had, or gets anyway, every event after "
                "position %(end)s. Replay those that it is to get once more."
            )
            % {"subscriber": subscriber.name, "end": end}
        )
    _refuse_overlap(backfills, start)
    return start, end


def _last_passed_import(subscriber: Subscriber) -> int | None:
    """The last import that a backfill had passed when it went on to live events."""
    runs = Run.objects.filter(
        subscriber=subscriber, kind=RunKind.BACKFILL, state=RunState.COMPLETE
    )
    cursors = Cursor.objects.filter(
        subscriber=subscriber, run__in=runs.values("number")
    )
    last: int | None = cursors.aggregate(at=Max("imports_to"))["at"]
    return last


def _lowest_start(subscriber: Subscriber, backfills: Any) -> int:
    starts: list[Any] = [
        Cursor.objects.filter(subscriber=subscriber, run=LIVE),
        backfills.filter(state=RunState.COMPLETE),
    ]
    lowest = [subscriber.live_from]
    for rows in starts:
        lowest += rows.order_by("start").values_list("start", flat=True)[:1]
    return min(lowest)


def _refuse_overlap(backfills: Any, start: int) -> None:
    """What a cancelled backfill gave is not given twice without a word."""
    cancelled = backfills.filter(state=RunState.CANCELLED).with_position()
    for run in cancelled.filter(position__gt=start).order_by("-position"):
        if run.position > run.start:
            raise DoesNotApply(
                gettext(
                    "A backfill that was cancelled, run %(run)s, has given the "
                    "events from position %(start)s to %(end)s already. Begin "
                    "at position %(next)s, and replay the rest."
                )
                % {
                    "run": run.number,
                    "start": run.start + 1,
                    "end": run.position,
                    "next": run.position + 1,
                }
            )


def _chosen_positions(
    chosen: Sequence[int], patterns: Sequence[str], live: int
) -> list[int]:
    rows = EventRecord.objects.filter(number__in_array=list(chosen), only_for=None)
    served = rows.filter(position__lte=live).only("number", "position", "type")
    places = {
        event.number: event.position or 0
        for event in served
        if matches_any(patterns, event.type)
    }
    missing = [str(number) for number in chosen if number not in places]
    if missing:
        raise _invalid(
            "/events",
            f"names {', '.join(missing[:10])}: not in the log, pruned, not served yet, "
            "for another subscriber alone, or of a type that this one does not get",
        )
    return list(places.values())


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise InvalidRun(f"This is not valid: {named(problems)}.", problems=problems)


def _invalid(pointer: str, problem: str) -> InvalidRun:
    return InvalidRun(f"`{pointer[1:]}` {problem}.", problems=[(pointer, problem)])
