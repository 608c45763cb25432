"""Suspects: an event that kills its workers is found, and takes no neighbour along.

A worker claims a chunk, commits the claim, and runs it; a poison event kills it. Once
the lease has run out, the sweep clears it and writes
`alone_to = GREATEST(alone_to, leased_to)`: up to there each claim takes one event. If
exactly one event was leased, and is not settled (`position < leased_to`), it is set
aside as a suspect: a row, which knows how many workers it lost and is dead after
`MAX_LOST`. A healthy worker may die as well, once, also after it settled its chunk and
before it ends its lease.

So a poison event costs at most two workers of the stream: its chunk's, and its own.

`router/flow/deliver/set_aside.py` ends a lease so, for `router/flow/sweep.py`, which
does the same for rows, with `router/flow/deliver/claiming.py`:
`vanished` counts, and a row that lost a worker shares no lease.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations
from typing import NamedTuple

from tests.models.model import GOAL, Model, Step

EVENTS = 4
CHUNK = 3
#: Workers that a row may lose, the one in the stream included.
MAX_LOST = 2
DEAD = MAX_LOST + 1


class Lease(NamedTuple):
    after: int
    to: int
    #: A row by itself; its event is `to`.
    is_row: bool = False
    is_settled: bool = False
    is_worker_alive: bool = True


class State(NamedTuple):
    #: Unknown to the router.
    poison: frozenset[int] | None = None
    position: int = 0
    alone_to: int = 0
    lease: Lease | None = None
    #: Event → workers that its row lost; `DEAD` is given up.
    rows: tuple[tuple[int, int], ...] = ()
    effects: tuple[int, ...] = (0,) * EVENTS
    #: Workers of the stream that poison killed.
    crashes: int = 0
    healthy_deaths: int = 0


def actions(state: State, without: str) -> Iterator[Step]:
    if state.poison is None:
        events = range(1, EVENTS + 1)
        for poison in chain.from_iterable(combinations(events, n) for n in range(3)):
            chosen = state._replace(poison=frozenset(poison))
            yield f"poison is {poison or 'none'}", chosen
    elif state.lease is None:
        yield from _claim(state, without)
    elif not state.lease.is_worker_alive:
        yield "the sweep ends the lease", _sweep(state, state.lease, without)
    else:
        yield from _work(state, state.lease, state.poison)


def _claim(state: State, without: str) -> Iterator[Step]:
    for event, lost in state.rows:
        if lost != DEAD:
            leased = Lease(event - 1, event, is_row=True)
            yield f"claim row {event}", state._replace(lease=leased)
    for to in range(state.position + 1, min(EVENTS, state.position + CHUNK) + 1):
        is_one = to == state.position + 1
        if is_one or state.position >= state.alone_to or without == "alone":
            claimed = state._replace(lease=Lease(state.position, to))
            if without == "no claim lowers alone_to":
                claimed = claimed._replace(alone_to=0)
            yield f"claim up to {to}", claimed


def _work(state: State, lease: Lease, poison: frozenset[int]) -> Iterator[Step]:
    dies = state._replace(lease=lease._replace(is_worker_alive=False))
    if state.healthy_deaths == 0:
        yield "a healthy worker dies", dies._replace(healthy_deaths=1)
    if lease.is_settled:
        yield "the worker ends its lease", state._replace(lease=None)
    elif poison.intersection(range(lease.after + 1, lease.to + 1)):
        # One more than may be, and no further, so that the search ends.
        crashes = state.crashes if lease.is_row else state.crashes + 1
        crashes = min(crashes, 2 * len(poison) + 1)
        yield "poison kills the worker", dies._replace(crashes=crashes)
    else:
        yield "the worker settles", _settle(state, lease)


def _settle(state: State, lease: Lease) -> State:
    settled = state._replace(
        lease=lease._replace(is_settled=True),
        effects=tuple(
            min(2, count + (lease.after < event <= lease.to))
            for event, count in enumerate(state.effects, start=1)
        ),
    )
    if lease.is_row:
        return settled._replace(rows=tuple(r for r in state.rows if r[0] != lease.to))
    return settled._replace(position=lease.to)


def _sweep(state: State, lease: Lease, without: str) -> State:
    swept = state._replace(lease=None)
    if lease.is_row:
        if lease.is_settled:
            return swept
        lost = dict(state.rows)[lease.to] + 1
        if without == "dead after so many":
            lost = min(lost, MAX_LOST)
        rows = dict(state.rows) | {lease.to: lost}
        return swept._replace(rows=tuple(sorted(rows.items())))
    alone_to = max(state.alone_to, lease.to)
    if without == "GREATEST":
        alone_to = lease.to
    swept = swept._replace(alone_to=alone_to)
    is_unsettled = state.position < lease.to or without == "position < leased_to"
    if lease.to == lease.after + 1 and is_unsettled:
        rows = dict(state.rows) | {lease.to: 1}
        return swept._replace(position=lease.to, rows=tuple(sorted(rows.items())))
    return swept


def no_event_runs_twice(state: State) -> bool:
    return max(state.effects) <= 1


def poison_kills_two_workers_at_most(state: State) -> bool:
    return state.crashes <= 2 * len(state.poison or ())


def only_poison_dies(state: State) -> bool:
    return all(
        event in (state.poison or ()) for event, lost in state.rows if lost == DEAD
    )


def all_settled(state: State) -> bool:
    is_rest_dead = all(lost == DEAD for _, lost in state.rows)
    return state.position == EVENTS and is_rest_dead and state.lease is None


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={
        "no event runs twice": no_event_runs_twice,
        "poison kills two workers at most": poison_kills_two_workers_at_most,
        "only poison dies": only_poison_dies,
    },
    goal=all_settled,
    planted={
        "alone": "poison kills two workers at most",
        "GREATEST": "poison kills two workers at most",
        "no claim lowers alone_to": "poison kills two workers at most",
        "position < leased_to": "no event runs twice",
        "dead after so many": GOAL,
    },
    min_states=10_000,
)
