"""The breaker: an outage gives up nothing, and no poison event holds a good one back.

Three events for one receiver. Either it goes down once and comes back: while it is down
it is silent, answers 500, or refuses everything. Or it is well, and event 0 is poison.
Two attempts may be under way, in every order of beginnings and answers; while the
breaker is open it is one probe at a time. Waits are left out: what may be tried is
tried at any moment. Opening and closing begin an epoch, and an answer of an older one
moves nothing.

Driven here: `judge` of `router/contract/failures.py` and `Breaker` of
`router/contract/breaker.py`, as they are; what joins them is
`router/flow/breaker/breaker.py`. Of times only the order is kept, and 75 hours never
pass. `MODEL` leaves out two cases, `GAPS`, in which the rule of today gives up a good
event: attempts overlap by seconds, and one hangs while the receiver comes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from router.contract.breaker import Breaker, BreakerState
from router.contract.failures import Past, Receiver, judge
from router.contract.outcomes import Evidence, FailureKind, Retry
from router.contract.retry import RetrySchedule
from tests.models.model import GOAL, Model, Step

EVENTS = 3
IN_FLIGHT = 2
THRESHOLD = 2
SCHEDULE = RetrySchedule(max_failures=2, give_up_after_seconds=10**9)
LONG_SCHEDULE = replace(SCHEDULE, max_failures=3)
START = datetime(2030, 1, 1, tzinfo=UTC)
WELL, DOWN, BACK = "well", "down", "well again"
KINDS = (FailureKind.SILENT, FailureKind.TROUBLED, FailureKind.REFUSED)
PENDING, DONE, DEAD = "pending", "acknowledged", "dead"


@dataclass(frozen=True, kw_only=True)
class World:
    """How often an event may fail, the length of a step, and when answers are made."""

    schedule: RetrySchedule = SCHEDULE
    step: timedelta = timedelta(minutes=1)
    #: An attempt that began while the receiver was down fails, whenever it ends.
    is_hanging: bool = False

    def moment(self, step: int | None) -> datetime | None:
        return None if step is None else START + step * self.step


class Event(NamedTuple):
    state: str = PENDING
    failures: int = 0
    last_failed: int | None = None
    is_witnessed: bool = False


class Attempt(NamedTuple):
    event: int
    began: int
    was_down: bool
    #: The breaker opened or closed since it began.
    is_late: bool = False


class State(NamedTuple):
    now: int = 0
    receiver: str = WELL
    #: How it fails while it is down; how event 0 fails, if it is poison.
    kind: FailureKind = FailureKind.TROUBLED
    is_poisoned: bool = False
    events: tuple[Event, ...] = (Event(),) * EVENTS
    attempts: tuple[Attempt, ...] = ()
    #: When the last success began and ended.
    success: tuple[int, int] | None = None
    is_recent: bool = False
    breaker: Breaker = Breaker()


def actions(state: State, without: str, *, world: World) -> Iterator[Step]:
    for name, after in _actions(state, without, world):
        yield name, _renumbered(after)


def _actions(state: State, without: str, world: World) -> Iterator[Step]:
    yield from _receiver(state)
    under_way = {attempt.event for attempt in state.attempts}
    limit = IN_FLIGHT
    if state.breaker.is_open:
        is_probing = any(not each.is_late for each in state.attempts)
        limit = 0 if is_probing else EVENTS
    for number, event in enumerate(state.events):
        is_waiting = event.state == PENDING and number not in under_way
        if state.breaker.is_open and without == "probes of new events":
            is_waiting = is_waiting and event.last_failed is not None
        if is_waiting and len(state.attempts) < limit:
            yield f"post {number}", _post(state, number)
    for attempt in state.attempts:
        yield _answer(state, attempt, without, world)


def _receiver(state: State) -> Iterator[Step]:
    for kind in KINDS if state.receiver == WELL and not state.is_poisoned else ():
        down = state._replace(receiver=DOWN, kind=kind)
        yield f"the receiver is down, {kind}", down
        if state == State():
            yield f"0 is poison, {kind}", state._replace(kind=kind, is_poisoned=True)
    if state.receiver == DOWN:
        yield "the receiver is back", state._replace(receiver=BACK)
    if state.is_recent:
        yield "a minute passes", state._replace(is_recent=False)


def _post(state: State, number: int) -> State:
    attempt = Attempt(number, state.now, was_down=state.receiver == DOWN)
    return state._replace(now=state.now + 1, attempts=(*state.attempts, attempt))


def _answer(state: State, attempt: Attempt, without: str, world: World) -> Step:
    rest = tuple(each for each in state.attempts if each != attempt)
    answered = state._replace(now=state.now + 1, attempts=rest)
    is_down = attempt.was_down if world.is_hanging else state.receiver == DOWN
    if is_down or (state.is_poisoned and attempt.event == 0):
        return f"{attempt.event} fails", _fail(answered, attempt, without, world)
    return f"{attempt.event} succeeds", _succeed(answered, attempt)


def _succeed(state: State, attempt: Attempt) -> State:
    acknowledged = _put(state, attempt.event, Event(DONE))._replace(
        success=(attempt.began, state.now), is_recent=True
    )
    if state.breaker.state is BreakerState.CLOSED:
        return acknowledged._replace(breaker=Breaker())
    if attempt.is_late:
        return acknowledged
    has_more = any(event.state == PENDING for event in acknowledged.events)
    after = state.breaker.after_success(chunk_limit=2, has_more=has_more)
    return _moved(acknowledged, after)


def _fail(state: State, attempt: Attempt, without: str, world: World) -> State:
    event = state.events[attempt.event]
    failure = Retry(Evidence(str(state.kind)), kind=state.kind)
    verdict = judge(
        failure,
        _past(event, without, world),
        _seen(state, attempt, without, world),
        now=world.moment(state.now),
        schedule=world.schedule,
    )
    failed = Event(
        DEAD if verdict.is_final else PENDING,
        min(event.failures + verdict.counts, world.schedule.max_failures),
        state.now,
        verdict.is_witnessed,
    )
    after = _put(state, attempt.event, failed)
    if attempt.is_late or state.breaker.is_open:
        return after
    breaker = state.breaker.after_failure(
        attempt.event,
        state.kind,
        is_witnessed=verdict.is_witnessed,
        is_recent=state.is_recent,
        threshold=THRESHOLD,
    )
    return _moved(after, breaker)


def _moved(state: State, breaker: Breaker) -> State:
    """The state with this breaker; its opening and its closing begin an epoch."""
    moved = state._replace(breaker=breaker)
    if breaker.is_open == state.breaker.is_open:
        return moved
    late = tuple(each._replace(is_late=True) for each in state.attempts)
    return moved._replace(attempts=late)


def _past(event: Event, without: str, world: World) -> Past:
    return Past(
        failures=event.failures,
        first_failed_at=world.moment(event.last_failed),
        last_failed_at=world.moment(event.last_failed),
        is_witnessed=event.is_witnessed or without == "a witness",
    )


def _seen(state: State, attempt: Attempt, without: str, world: World) -> Receiver:
    began, ended = state.success or (None, None)
    is_in_doubt = attempt.is_late or state.breaker.is_open
    return Receiver(
        success_began_at=world.moment(began),
        success_ended_at=world.moment(ended),
        is_in_doubt=is_in_doubt and without != "doubt",
        is_failing=len(state.breaker.failed_in_a_row) >= THRESHOLD,
    )


def _put(state: State, number: int, event: Event) -> State:
    events = (*state.events[:number], event, *state.events[number + 1 :])
    return state._replace(events=events)


def _renumbered(state: State) -> State:
    """The same state with its times counted from zero, in their order."""
    times = {state.now, *(state.success or ())}
    times |= {attempt.began for attempt in state.attempts}
    times |= {event.last_failed for event in state.events} - {None}
    number = {None: None, **{time: n for n, time in enumerate(sorted(times))}}
    return state._replace(
        now=number[state.now],
        success=state.success and tuple(number[time] for time in state.success),
        attempts=tuple(
            each._replace(began=number[each.began]) for each in state.attempts
        ),
        events=tuple(
            each._replace(last_failed=number[each.last_failed]) for each in state.events
        ),
    )


def good_events(state: State) -> tuple[Event, ...]:
    return state.events[1:] if state.is_poisoned else state.events


def refuses_all(state: State) -> bool:
    return state.kind is FailureKind.REFUSED and not state.is_poisoned


def nothing_is_given_up(state: State) -> bool:
    return refuses_all(state) or all(e.state != DEAD for e in good_events(state))


def few_are_given_up(state: State) -> bool:
    """Of a receiver that refuses all, fewer than open the breaker."""
    dead = sum(event.state == DEAD for event in good_events(state))
    return not refuses_all(state) or dead < THRESHOLD


def good_ones_are_acknowledged(state: State) -> bool:
    return all(event.state != PENDING for event in good_events(state))


def model(world: World) -> Model:
    return Model(
        start=State(),
        actions=partial(actions, world=world),
        invariants={
            "nothing is given up": nothing_is_given_up,
            "few are given up": few_are_given_up,
        },
        goal=good_ones_are_acknowledged,
        planted={
            "a witness": "nothing is given up",
            "doubt": "few are given up",
            "probes of new events": GOAL,
        },
        min_states=15_000,
    )


MODEL = model(World())
#: A success that began up to two seconds before a failure, and ended after it, counts
#: as proof that the receiver is well; and a success counts that began after the failing
#: attempt did.
GAPS = {
    "attempts overlap": model(
        World(schedule=LONG_SCHEDULE, step=timedelta(milliseconds=1), is_hanging=True)
    ),
    "an attempt hangs": model(World(is_hanging=True)),
}
