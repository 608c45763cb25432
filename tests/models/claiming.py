"""Claim in the stream: three statements, so that no event is jumped over or doubled.

One streamed subscriber, two workers, a router, and the dispatcher's look for idle
cursors. The cursor's row is locked by a claim from its first statement to its commit:

1. UPDATE takes the lease and returns the position as it is *now*.
2. A later, single statement reads the log's head and the next events above it, at most
   `LOOK_LIMIT` of them.
3. UPDATE writes `leased_to`. Without a wanted event the cursor moves as far as the look
   went: to the head only if the look ended there.

The idle look reads head and log once and writes `GREATEST(position, that head)` to
unleased cursors with nothing wanted between.

`router/flow/cursor/reading.py` claims so, with 2 and 3 in one statement, which sees the
lease of 1. It has no look for idle cursors: now and then each gets an ordinary claim.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.models.model import Model, Step

EVENTS = 3
LOOK_LIMIT = 1
NOBODY = -1

#: Whether the subscriber wants each routed event; its place is the position.
Log = tuple[bool, ...]


class Worker(NamedTuple):
    """A worker at its claim, or at its chunk."""

    at: str = "idle"
    position: int = 0
    #: What it reads, where it reads the log as it was before its wait.
    log: Log = ()
    #: Where it moves the cursor: behind the chunk, or behind what nobody wants.
    to: int = 0
    finds: bool = False


class State(NamedTuple):
    log: Log = ()
    position: int = 0
    leased_by: int = NOBODY
    #: The transaction that holds the cursor's row.
    locked_by: int = NOBODY
    workers: tuple[Worker, ...] = (Worker(), Worker())
    #: The head that the idle look has read, and will write.
    idle_head: int | None = None
    #: How often each event took effect.
    effects: tuple[int, ...] = (0,) * EVENTS
    moved_back: bool = False


def actions(state: State, without: str) -> Iterator[Step]:
    if len(state.log) < EVENTS:
        for wanted in (True, False):
            name = "a wanted event" if wanted else "an event that is not wanted"
            yield f"route {name}", state._replace(log=(*state.log, wanted))
    for number in range(len(state.workers)):
        yield from _work(state, number, without)
    yield from _idle_look(state, without)


def _work(state: State, number: int, without: str) -> Iterator[Step]:
    worker = state.workers[number]
    name = f"worker {number}"
    is_free = state.locked_by == NOBODY
    if worker.at == "idle":
        # What one statement reads is as old as the statement, however long it waits.
        waits = Worker("waits", position=state.position, log=state.log)
        yield f"{name} begins its claim", _put(state, number, waits)
    elif worker.at == "waits" and is_free and state.leased_by == NOBODY:
        yield f"{name} takes the lease", _take(state, number, without)
    elif worker.at == "waits" and is_free:
        yield f"{name} is refused", _put(state, number, Worker())
    elif worker.at == "leases":
        yield f"{name} looks", _look(state, number, without)
    elif worker.at == "looked":
        yield f"{name} commits its claim", _commit_claim(state, number, without)
    elif worker.at == "works" and is_free:
        yield f"{name} settles", _settle(state, number)


def _take(state: State, number: int, without: str) -> State:
    worker = state.workers[number]
    if without == "look in a later statement":
        leases = worker._replace(at="leases")
    else:
        leases = Worker("leases", position=state.position)
    taken = state._replace(leased_by=number, locked_by=number)
    return _put(taken, number, leases)


def _look(state: State, number: int, without: str) -> State:
    worker = state.workers[number]
    log = worker.log if without == "look in a later statement" else state.log
    seen = log[worker.position : worker.position + LOOK_LIMIT]
    looked = worker._replace(
        at="looked", log=(), finds=any(seen), to=worker.position + len(seen)
    )
    if not looked.finds and without == "as far as the look went":
        looked = looked._replace(to=len(log))
    return _put(state, number, looked)


def _commit_claim(state: State, number: int, without: str) -> State:
    worker = state.workers[number]
    unlocked = state._replace(locked_by=NOBODY)
    if worker.finds:
        return _put(unlocked, number, worker._replace(at="works"))
    to = worker.to
    if without == "head in the look" and worker.to == worker.position:
        # The look found the log's end; the head is read once more, by itself.
        to = len(state.log)
    released = unlocked._replace(leased_by=NOBODY)
    return _put(_moved(released, max(to, state.position)), number, Worker())


def _settle(state: State, number: int) -> State:
    """The lease is never lost here: `settling` has what happens then."""
    worker = state.workers[number]
    effects = tuple(
        count + (worker.position < event <= worker.to)
        for event, count in enumerate(state.effects, start=1)
    )
    settled = state._replace(effects=effects, leased_by=NOBODY)
    return _put(_moved(settled, worker.to), number, Worker())


def _idle_look(state: State, without: str) -> Iterator[Step]:
    head = len(state.log)
    if state.idle_head is None and head > state.position:
        if state.leased_by == NOBODY and not any(state.log[state.position :]):
            yield "the idle look reads", state._replace(idle_head=head)
    elif state.idle_head is not None and state.locked_by == NOBODY:
        looked = state._replace(idle_head=None)
        if state.leased_by != NOBODY:
            yield "the idle look passes over", looked
            return
        to = max(state.position, state.idle_head)
        if without == "never backwards":
            to = state.idle_head
        yield "the idle look writes", _moved(looked, to)


def _moved(state: State, position: int) -> State:
    moved_back = state.moved_back or position < state.position
    return state._replace(position=position, moved_back=moved_back)


def _put(state: State, number: int, worker: Worker) -> State:
    workers = (*state.workers[:number], worker, *state.workers[number + 1 :])
    return state._replace(workers=workers)


def no_event_runs_twice(state: State) -> bool:
    return max(state.effects) <= 1


def no_event_is_jumped_over(state: State) -> bool:
    """Each wanted event at or below the cursor has taken effect."""
    behind = zip(state.log[: state.position], state.effects, strict=False)
    return all(count > 0 for wanted, count in behind if wanted)


def never_backwards(state: State) -> bool:
    return not state.moved_back


def all_served(state: State) -> bool:
    return state.position == EVENTS


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={
        "no event runs twice": no_event_runs_twice,
        "no event is jumped over": no_event_is_jumped_over,
        "never backwards": never_backwards,
    },
    goal=all_served,
    planted={
        "look in a later statement": "no event runs twice",
        "head in the look": "no event is jumped over",
        "as far as the look went": "no event is jumped over",
        "never backwards": "never backwards",
    },
    min_states=6_000,
)
