"""Set aside: one bad event of a chunk becomes a row, and the others are served.

One worker serves chunks; the handlers of a chunk share one transaction. Each event is
one of `KINDS` for ever, and the router does not know which. A failure rolls all back:
what came before it runs again together and commits, the failed one runs alone and is
set aside if it fails again, the rest goes on as a chunk. Setting aside is one
transaction: the cursor moves and the row is made.

The worker may die between any two transactions, once. `router/flow/deliver/stream.py`
and `router/flow/deliver/set_aside.py` do this; `router/flow/deliver/delivering.py`
splits a failed chunk of rows in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from tests.models.model import GOAL, Model, Step

EVENTS = 3
#: Passing errors in a row, at one position, until events go singly; and of one alone.
PATIENCE = 2
#: `fails`: its handler raises. `commit`: only the COMMIT fails, and names no event.
#: `passing`: it ends in a deadlock, each time. `rollback`: its handler catches an
#: error, rolls the transaction back, and acknowledges.
KINDS = ("good", "fails", "commit", "passing", "rollback")

#: A part of a chunk: after which position, up to which.
Part = tuple[int, int]


class State(NamedTuple):
    kinds: tuple[str, ...] | None = None
    position: int = 0
    #: What the worker has still to run; () is without a lease.
    parts: tuple[Part, ...] = ()
    #: A row that is to be made after the cursor has moved.
    row_to_come: int = 0
    rows: frozenset[int] = frozenset()
    done: frozenset[int] = frozenset()
    #: Passing errors since the position moved: of chunks, and of one event alone.
    passing: int = 0
    passing_alone: int = 0
    has_died: bool = False


def actions(state: State, without: str) -> Iterator[Step]:
    if state.kinds is None:
        for kinds in product(KINDS, repeat=EVENTS):
            yield f"events are {kinds}", state._replace(kinds=kinds)
        return
    if state.row_to_come:
        rows = state.rows | {state.row_to_come}
        yield "the row is made", state._replace(rows=rows, row_to_come=0)
    elif state.parts:
        yield _run(state, state.kinds, without)
    elif state.position < EVENTS:
        yield _claim(state, without)
    if not state.has_died and (state.parts or state.row_to_come):
        yield "the worker dies", state._replace(parts=(), row_to_come=0, has_died=True)


def _claim(state: State, without: str) -> Step:
    is_singly = state.passing >= PATIENCE and without != "singly after passing errors"
    to = state.position + 1 if is_singly else EVENTS
    return f"claim up to {to}", state._replace(parts=((state.position, to),))


def _run(state: State, kinds: tuple[str, ...], without: str) -> Step:
    """Run the next part, and settle it or whatever becomes of it."""
    (after, to), *rest = state.parts
    events = range(after + 1, to + 1)
    bad = next((event for event in events if _raises(kinds, event, without)), None)
    if bad is None and any(kinds[event - 1] == "commit" for event in events):
        return "COMMIT fails", _unknown_culprit(state, after, to, without)
    if bad is None:
        return f"{after + 1}..{to} commits", _commit(state, kinds, events, without)
    if kinds[bad - 1] == "passing":
        return f"a passing error at {bad}", _release(state, bad, len(events), without)
    if len(events) == 1:
        return f"{bad} is set aside", _set_aside(state, bad, without)
    before = ((after, bad - 1),) if bad > after + 1 else ()
    behind = ((bad, to),) if bad < to else ()
    split = state._replace(parts=(*before, (bad - 1, bad), *behind, *rest))
    if without == "what came before runs again":
        done = state.position if bad == after + 1 else bad - 1
        split = split._replace(position=done, parts=((bad - 1, bad), *behind, *rest))
    return f"{bad} fails in its chunk", split


def _raises(kinds: tuple[str, ...], event: int, without: str) -> bool:
    kind = kinds[event - 1]
    # A savepoint before each handler: it is gone after a rollback, and that is noticed.
    return kind in ("fails", "passing") or (kind == "rollback" and without != "guard")


def _commit(state: State, kinds: tuple[str, ...], events: range, without: str) -> State:
    effects = set(events)
    for event in events:
        if kinds[event - 1] == "rollback" and without == "guard":
            effects -= set(range(events[0], event + 1))
    return _moved(state, events[-1])._replace(done=state.done | effects)


def _unknown_culprit(state: State, after: int, to: int, without: str) -> State:
    if to == after + 1:
        return _set_aside(state, to, without)
    if without == "singly after a failed COMMIT":
        return state
    singly = tuple((event, event + 1) for event in range(after, to))
    return state._replace(parts=(*singly, *state.parts[1:]))


def _release(state: State, event: int, size: int, without: str) -> State:
    """Give the lease back, uncounted; what ends so each time is set aside at last."""
    released = state._replace(parts=())
    if size > 1 or state.passing < PATIENCE:
        return released._replace(passing=min(PATIENCE, state.passing + 1))
    alone = min(PATIENCE, state.passing_alone + 1)
    if alone == PATIENCE and without != "passing errors end":
        return _set_aside(state, event, without)
    return released._replace(passing_alone=alone)


def _set_aside(state: State, event: int, without: str) -> State:
    moved = _moved(state, event)
    if without == "one transaction":
        return moved._replace(row_to_come=event)
    return moved._replace(rows=state.rows | {event})


def _moved(state: State, position: int) -> State:
    return state._replace(
        position=position, parts=state.parts[1:], passing=0, passing_alone=0
    )


def each_is_done_or_a_row(state: State) -> bool:
    """Once its transaction has ended, each event up to the cursor is one of the two."""
    return all(
        (event in state.done) != (event in state.rows)
        for event in range(1, state.position + 1)
        if event != state.row_to_come
    )


def no_good_event_is_set_aside(state: State) -> bool:
    kinds = state.kinds or ()
    return all(kinds[event - 1] != "good" for event in state.rows)


def all_passed(state: State) -> bool:
    return state.position == EVENTS and not state.parts


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={
        "each is done or a row": each_is_done_or_a_row,
        "no good event is set aside": no_good_event_is_set_aside,
    },
    goal=all_passed,
    planted={
        "guard": "each is done or a row",
        "one transaction": "each is done or a row",
        "what came before runs again": "each is done or a row",
        "singly after a failed COMMIT": GOAL,
        "singly after passing errors": GOAL,
        "passing errors end": GOAL,
    },
    min_states=2_000,
)
