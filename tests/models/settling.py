"""Settle in the stream: the fence, with zombies and with a COMMIT that seemed lost.

Two workers and one streamed subscriber. Effects and settlement are one transaction: it
updates the Turn `WHERE token`, which locks it, and then the cursor `WHERE position` is
what the claim read. A row fewer than expected rolls everything back.

A lease runs out at any moment, and an operator (erase, delete, switch of transport)
takes it away at any moment; its worker notices nothing and goes on. A COMMIT may hang:
the worker sees a lost session and runs the chunk again, under its old lease, while the
database may still apply the first one. A crash of the database forgets a claim, which
is committed asynchronously.

`router/flow/deliver/stream_settling.py` has this fence;
`router/flow/deliver/settling.py` the same for rows: token and LEASED.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.models.model import Model, Step

EVENTS = 3
CLAIMS = 3
NONE = 0


class Worker(NamedTuple):
    at: str = "idle"
    token: int = NONE
    #: The cursor's position when it claimed, and behind its chunk.
    position: int = 0
    to: int = 0


class Settlement(NamedTuple):
    """A transaction with effects whose COMMIT hangs in the database."""

    token: int
    position: int
    to: int


class State(NamedTuple):
    position: int = 0
    token: int = NONE
    #: A token is never given twice.
    last_token: int = NONE
    is_claim_on_disk: bool = True
    workers: tuple[Worker, ...] = (Worker(), Worker())
    #: It holds the Turn and the cursor until the database has decided.
    hanging: Settlement | None = None
    effects: tuple[int, ...] = (0,) * EVENTS
    #: A lease that was taken away has settled something.
    is_late: bool = False


def actions(state: State, without: str) -> Iterator[Step]:
    for number, worker in enumerate(state.workers):
        yield from _claim(state, number, worker)
        if worker.at in ("works", "settles"):
            yield from _settle(state, number, worker, without)
    yield from _decide_hanging(state)
    if state.token != NONE and state.hanging is None:
        yield "the lease runs out, or is taken away", state._replace(token=NONE)
    if not state.is_claim_on_disk:
        yield "the claim reaches the disk", state._replace(is_claim_on_disk=True)
        crashed = state._replace(token=NONE, hanging=None, is_claim_on_disk=True)
        yield "the database crashes and forgets the claim", crashed


def _claim(state: State, number: int, worker: Worker) -> Iterator[Step]:
    """Under a new lease, or for the next chunk under the lease that it has."""
    if state.hanging is not None or state.position == EVENTS:
        return
    chunks = range(state.position + 1, EVENTS + 1)
    if worker.at == "idle" and state.token == NONE and state.last_token < CLAIMS:
        token = state.last_token + 1
        leased = state._replace(token=token, last_token=token, is_claim_on_disk=False)
        for to in chunks:
            claimed = Worker("works", token, state.position, to)
            yield f"worker {number} claims to {to}", _put(leased, number, claimed)
    if worker.at == "goes on" and worker.token == state.token:
        for to in chunks:
            claimed = worker._replace(at="works", position=state.position, to=to)
            yield f"worker {number} goes on to {to}", _put(state, number, claimed)


def _settle(state: State, number: int, worker: Worker, without: str) -> Iterator[Step]:
    if worker.at == "works":
        # Only the statement's own row is read anew after a wait: what it joins is as
        # old as the statement.
        if state.token == worker.token or without == "token":
            if without == "token in its own row":
                checked = worker._replace(at="settles")
                yield f"worker {number} checks its token", _put(state, number, checked)
                return
        else:
            yield f"worker {number} has lost its lease", _put(state, number, Worker())
            return
    if state.hanging is not None:
        return
    if worker.position != state.position and without != "expected position":
        yield f"worker {number} rolls back", _put(state, number, Worker())
        return
    settlement = Settlement(worker.token, worker.position, worker.to)
    settled = _applied(state, settlement)
    goes_on = Worker("goes on", worker.token)
    retrying = worker._replace(at="works")
    yield f"worker {number} settles", _put(settled, number, goes_on)
    yield f"worker {number}'s COMMIT fails", _put(state, number, retrying)
    hangs = state._replace(hanging=settlement)
    yield f"worker {number}'s COMMIT hangs", _put(hangs, number, retrying)


def _decide_hanging(state: State) -> Iterator[Step]:
    if state.hanging is not None:
        free = state._replace(hanging=None)
        yield "the hanging COMMIT rolls back", free
        yield "the hanging COMMIT is applied", _applied(free, state.hanging)


def _applied(state: State, settlement: Settlement) -> State:
    # Twice is as wrong as more often.
    effects = tuple(
        min(2, count + (settlement.position < event <= settlement.to))
        for event, count in enumerate(state.effects, start=1)
    )
    return state._replace(
        effects=effects,
        position=settlement.to,
        # A durable commit: what was written before it is durable as well.
        is_claim_on_disk=True,
        is_late=state.is_late or settlement.token != state.token,
    )


def _put(state: State, number: int, worker: Worker) -> State:
    workers = (*state.workers[:number], worker, *state.workers[number + 1 :])
    return state._replace(workers=workers)


def no_second_effect(state: State) -> bool:
    return max(state.effects) <= 1


def effects_are_what_the_cursor_says(state: State) -> bool:
    return all(
        (count > 0) == (event <= state.position)
        for event, count in enumerate(state.effects, start=1)
    )


def a_lost_lease_settles_nothing(state: State) -> bool:
    return not state.is_late


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={
        "no second effect": no_second_effect,
        "effects are what the cursor says": effects_are_what_the_cursor_says,
        "a lost lease settles nothing": a_lost_lease_settles_nothing,
    },
    planted={
        "token": "a lost lease settles nothing",
        "token in its own row": "a lost lease settles nothing",
        "expected position": "no second effect",
    },
    min_states=2_000,
)
