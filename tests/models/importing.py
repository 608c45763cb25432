"""Import: facts from before the router come first, and no cursor crosses too early.

An import gives two facts negative positions, counted upwards under the head's lock;
meanwhile the router gives two live events positive ones. An ordered subscriber's cursor
starts at the beginning and reads what it finds, in order. While the import is open it
does not cross from negative to positive; the import's end is written under the head's
lock as well, when no fact is on its way any more. A claim reads log and import in one
statement.

The code is `router/operate/importing.py`, and `router/flow/route/crossing.py`, which
crosses in a step of its own, under the head's lock as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.models.model import Model, Step

FACTS = 2
EVENTS = 2


class State(NamedTuple):
    #: Facts and live events that are committed.
    facts: int = 0
    events: int = 0
    is_open: bool = True
    #: A fact has its position, and is not committed yet.
    is_fact_on_its_way: bool = False
    #: What the cursor has passed; it crosses when it finds no fact any more.
    passed_facts: int = 0
    passed_events: int = 0
    has_crossed: bool = False
    #: The facts that a claim has read, where it reads the import's end later.
    read_facts: int | None = None


def actions(state: State, without: str) -> Iterator[Step]:
    if state.is_fact_on_its_way:
        committed = state._replace(facts=state.facts + 1, is_fact_on_its_way=False)
        yield "the fact is committed", committed
    elif state.is_open and state.facts < FACTS:
        yield "a fact gets its position", state._replace(is_fact_on_its_way=True)
    may_end = not state.is_fact_on_its_way or without == "end under the head's lock"
    if state.is_open and may_end:
        yield "the import ends", state._replace(is_open=False)
    if state.events < EVENTS and not state.is_fact_on_its_way:
        yield "route an event", state._replace(events=state.events + 1)
    yield from _claim(state, without)


def _claim(state: State, without: str) -> Iterator[Step]:
    if without != "log and import in one statement":
        yield from _move(state, state.facts, without)
    elif state.read_facts is None:
        yield "a claim reads the log", state._replace(read_facts=state.facts)
    else:
        yield from _move(state._replace(read_facts=None), state.read_facts, without)


def _move(state: State, facts: int, without: str) -> Iterator[Step]:
    may_cross = not state.is_open or without == "no crossing while it is open"
    if state.has_crossed:
        yield (
            "the cursor passes what is live",
            state._replace(passed_events=state.events),
        )
    elif state.passed_facts < facts:
        yield "the cursor passes the facts", state._replace(passed_facts=facts)
    elif may_cross:
        yield "the cursor crosses", state._replace(has_crossed=True)


def no_fact_is_passed_over(state: State) -> bool:
    return not state.has_crossed or state.passed_facts == state.facts


def all_passed(state: State) -> bool:
    return state.passed_facts == state.facts and state.passed_events == EVENTS


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={"no fact is passed over": no_fact_is_passed_over},
    goal=all_passed,
    planted={
        "no crossing while it is open": "no fact is passed over",
        "end under the head's lock": "no fact is passed over",
        "log and import in one statement": "no fact is passed over",
    },
    min_states=50,
)
