"""Reading: what became of an event is read in an order that calls no failure done.

One event among others of a chunk. It is acknowledged with its chunk, or set aside: the
cursor moves over it and it becomes a row, which ends acknowledged or dead. The
Acknowledgement of its neighbours covers its position either way; only the row says that
it was set aside. A row that was acknowledged is deleted later, and counts in the
Acknowledgement from then on. Each of these is one transaction.

A reader takes cursor, rows, Acknowledgements, in three statements. `router/` has a row
for each event and subscriber today: one statement reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.models.model import Model, Step

CURSOR, ROW, ACKNOWLEDGEMENT = "cursor", "row", "acknowledgement"
ORDER = (CURSOR, ROW, ACKNOWLEDGEMENT)
NOT_SERVED, DONE, UNKNOWN = "not served", "acknowledged", "unknown"


class State(NamedTuple):
    is_passed: bool = False
    #: None: there is no row.
    row: str | None = None
    is_covered: bool = False
    #: What the reader has seen so far, in its order.
    seen: tuple[object, ...] = ()
    answer: str | None = None
    #: The event was acknowledged before the reader's answer.
    is_done: bool = False


def order(without: str) -> tuple[str, ...]:
    if without == "rows after the cursor":
        return ROW, CURSOR, ACKNOWLEDGEMENT
    if without == "acknowledgements last":
        return CURSOR, ACKNOWLEDGEMENT, ROW
    return ORDER


def actions(state: State, without: str) -> Iterator[Step]:
    if not state.is_passed:
        passed = state._replace(is_passed=True)
        yield (
            "acknowledged with its chunk",
            passed._replace(is_covered=True, is_done=True),
        )
        yield "set aside", passed._replace(row="pending")
    if state.row == "pending":
        yield "the row is acknowledged", state._replace(row=DONE, is_done=True)
        yield "the row is dead", state._replace(row="dead")
    if state.row is not None:
        yield "its neighbours are acknowledged", state._replace(is_covered=True)
    if state.row == DONE:
        deleted = state._replace(row=None, is_covered=True)
        if without == "deleted with its acknowledgement":
            deleted = deleted._replace(is_covered=state.is_covered)
        yield "the row is deleted", deleted
    if state.answer is None:
        yield _read(state, order(without))


def _read(state: State, columns: tuple[str, ...]) -> Step:
    column = columns[len(state.seen)]
    now = {
        CURSOR: state.is_passed,
        ROW: state.row,
        ACKNOWLEDGEMENT: state.is_covered,
    }
    seen = (*state.seen, now[column])
    read = state._replace(seen=seen)
    if len(seen) == len(columns):
        read = read._replace(answer=_answer(dict(zip(columns, seen, strict=True))))
    return f"the reader reads the {column}", read


def _answer(seen: dict[str, object]) -> str:
    if seen[ROW] is not None:
        return str(seen[ROW])
    if not seen[CURSOR]:
        return NOT_SERVED
    return DONE if seen[ACKNOWLEDGEMENT] else UNKNOWN


def no_failure_is_called_done(state: State) -> bool:
    return state.answer != DONE or state.is_done


def every_event_has_an_answer(state: State) -> bool:
    return state.answer != UNKNOWN


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={
        "no failure is called done": no_failure_is_called_done,
        "every event has an answer": every_event_has_an_answer,
    },
    planted={
        "rows after the cursor": "no failure is called done",
        "acknowledgements last": "every event has an answer",
        "deleted with its acknowledgement": "every event has an answer",
    },
    min_states=100,
)
