"""Periods: an event is judged by the types that held at its position, whenever read.

A log that grows to three events of one type, and a cursor that reads it. An operator
adds the type to the subscriber's, once, and takes it away again: each change reads the
head under its lock and begins a period behind it. A claim reads head, log and periods
in one statement and moves over what no period wants.

`router/flow/route/periods.py` begins them; `router/flow/cursor/reading.py` and
`router/flow/cursor/filling.py` read by them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.models.model import Model, Step

EVENTS = 3
CHANGES = 2


class State(NamedTuple):
    head: int = 0
    position: int = 0
    #: The first positions of the periods behind the first one; every second is wanted.
    periods: tuple[int, ...] = ()
    #: The first position of the period that a transaction is about to begin.
    change: int | None = None
    #: What a claim has read as the head and the periods, where it reads them apart.
    read: tuple[int, tuple[int, ...]] | None = None
    served: frozenset[int] = frozenset()


def is_wanted(position: int, periods: tuple[int, ...]) -> bool:
    return sum(first <= position for first in periods) % 2 == 1


def actions(state: State, without: str) -> Iterator[Step]:
    is_locked = state.change is not None and without != "change under the head's lock"
    if state.head < EVENTS and not is_locked:
        yield "route an event", state._replace(head=state.head + 1)
    if state.change is not None:
        periods = (*state.periods, state.change)
        yield "the change commits", state._replace(periods=periods, change=None)
    elif len(state.periods) < CHANGES:
        first = state.head + 1
        if without == "a period begins behind the head":
            first = max(1, state.head)
        yield f"a change begins a period at {first}", state._replace(change=first)
    yield from _claim(state, without)


def _claim(state: State, without: str) -> Iterator[Step]:
    if without == "periods in the look":
        if state.read is None:
            yield "a claim reads the periods", state._replace(read=(0, state.periods))
        else:
            yield _serve(state._replace(read=None), state.read[1])
    elif state.position < state.head:
        yield _serve(state, state.periods)


def _serve(state: State, periods: tuple[int, ...]) -> Step:
    above = range(state.position + 1, state.head + 1)
    served = {position for position in above if is_wanted(position, periods)}
    moved = state._replace(position=state.head, served=state.served | served)
    return f"the claim serves {sorted(served)}", moved


def served_by_its_period(state: State) -> bool:
    """Each event up to the cursor was served if its period wants it, and else not."""
    return all(
        (position in state.served) == is_wanted(position, state.periods)
        for position in range(1, state.position + 1)
    )


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={"served by its period": served_by_its_period},
    goal=lambda state: state.position == EVENTS,
    planted={
        "change under the head's lock": "served by its period",
        "a period begins behind the head": "served by its period",
        "periods in the look": "served by its period",
    },
    min_states=100,
)
