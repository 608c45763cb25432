"""The window: a subscriber that is served row by row has rows for its next events only.

A log of four events; each is good, or never acknowledged: its row waits for a retry for
ever. A fill makes rows of the events above the cursor, under the cursor's lock, while
fewer than `WINDOW` rows *may go now* and fewer than `LIMIT` are open. A row that waits
for a retry, is held behind another, or is leased, is open but may not go now. One row
is given up, and an operator may retry it: it is open again.

Routing makes the row itself where the cursor is at the head and the window has room. It
never waits for a cursor: one that it cannot lock is simply behind, and a later fill
finds the event. A filler may freeze for ever: its subscriber stands still then, and the
log's head must not.

`router/flow/route/window.py` and `router/flow/route/behind.py` do this, but routing
never looks at a cursor that is not behind: it knows the windows, as of a second ago.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.models.model import GOAL, Model, Step

EVENTS = 4
WINDOW = 1
LIMIT = 3
ABSENT, DUE, LEASED, WAITING = "absent", "due", "leased", "waiting"
DONE, DEAD = "done", "dead"
OPEN = (DUE, LEASED, WAITING)


class State(NamedTuple):
    #: Whether each routed event is ever acknowledged; its place is the position.
    log: tuple[bool, ...] = ()
    cursor: int = 0
    rows: tuple[str, ...] = (ABSENT,) * EVENTS
    #: Fills under way: the cursor that each has read, and how far it fills.
    fills: tuple[tuple[int, int], ...] = ()
    is_frozen: bool = False
    moved_back: bool = False
    has_given_up: bool = False


def actions(state: State, without: str) -> Iterator[Step]:
    if len(state.log) < EVENTS:
        yield from _route(state, without)
    yield from _fill(state, without)
    for place, row in enumerate(state.rows):
        if row == DUE:
            yield f"claim {place + 1}", _set(state, place, LEASED)
        if row == LEASED:
            end = DONE if state.log[place] else WAITING
            yield f"{place + 1} ends {end}", _set(state, place, end)
        if row == WAITING:
            yield f"{place + 1} is due again", _set(state, place, DUE)
            if not state.has_given_up:
                given_up = _set(state, place, DEAD)._replace(has_given_up=True)
                yield f"{place + 1} is given up", given_up
        if row == DEAD and _may_retry(state, without):
            yield f"an operator retries {place + 1}", _set(state, place, DUE)


def _route(state: State, without: str) -> Iterator[Step]:
    is_locked = bool(state.fills) and without != "cursor's lock"
    if is_locked and without == "routing passes over":
        return
    number = len(state.log) + 1
    for is_good in (True, False):
        name = f"route {number}, {'good' if is_good else 'bad'}"
        routed = state._replace(log=(*state.log, is_good))
        is_at_head = state.cursor == number - 1 or without == "cursor at the head"
        if is_locked or not is_at_head or _room(state, without) < 1:
            yield name, routed
        else:
            yield f"{name}, with its row", _filled(routed, number - 1, number)


def _fill(state: State, without: str) -> Iterator[Step]:
    fillers = 2 if without == "cursor's lock" else 1
    to = min(len(state.log), state.cursor + _room(state, without))
    if len(state.fills) < fillers and to > state.cursor:
        begun = state._replace(fills=(*state.fills, (state.cursor, to)))
        yield f"a fill up to {to} begins", begun
    if not state.fills or state.is_frozen:
        return
    yield "the filler freezes", state._replace(is_frozen=True)
    for number, (after, to) in enumerate(state.fills):
        others = state.fills[:number] + state.fills[number + 1 :]
        filled = _filled(state, after, to)._replace(fills=others)
        yield f"the fill up to {to} commits", filled


def _may_retry(state: State, without: str) -> bool:
    """A retry is a new open row: it locks the cursor, and keeps within the limit."""
    is_locked = bool(state.fills) and without != "a retry takes the cursor's lock"
    fits = _open_count(state) < LIMIT or without == "a retry keeps within the limit"
    return fits and not is_locked


def _open_count(state: State) -> int:
    return sum(row in OPEN for row in state.rows)


def _room(state: State, without: str) -> int:
    """How many rows may be made."""
    open_rows = _open_count(state)
    ready = state.rows.count(DUE)
    if without == "rows that may go now":
        ready = open_rows
    room = WINDOW - ready
    return room if without == "limit" else min(room, LIMIT - open_rows)


def _filled(state: State, after: int, to: int) -> State:
    """ON CONFLICT DO NOTHING: a row that is there stays as it is."""
    rows = tuple(
        DUE if after <= place < to and row == ABSENT else row
        for place, row in enumerate(state.rows)
    )
    moved_back = state.moved_back or to < state.cursor
    return state._replace(rows=rows, cursor=to, moved_back=moved_back)


def _set(state: State, place: int, new: str) -> State:
    rows = (*state.rows[:place], new, *state.rows[place + 1 :])
    return state._replace(rows=rows)


def a_row_for_each_event_up_to_the_cursor(state: State) -> bool:
    return all(
        (row != ABSENT) == (place < state.cursor)
        for place, row in enumerate(state.rows)
    )


def never_backwards(state: State) -> bool:
    return not state.moved_back


def rows_are_few(state: State) -> bool:
    return _open_count(state) <= LIMIT


def all_served(state: State) -> bool:
    """Every good event is done, but behind a frozen filler and beyond the limit."""
    is_stopped = state.is_frozen or _open_count(state) == LIMIT
    good = zip(state.log, state.rows, strict=True) if len(state.log) == EVENTS else ()
    is_routed = len(state.log) == EVENTS
    return is_routed and (
        is_stopped or all(row == DONE for is_good, row in good if is_good)
    )


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={
        "a row for each event up to the cursor": a_row_for_each_event_up_to_the_cursor,
        "never backwards": never_backwards,
        "rows are few": rows_are_few,
    },
    goal=all_served,
    planted={
        "cursor at the head": "a row for each event up to the cursor",
        "cursor's lock": "never backwards",
        "routing passes over": GOAL,
        "rows that may go now": GOAL,
        "limit": "rows are few",
        "a retry keeps within the limit": "rows are few",
        "a retry takes the cursor's lock": "rows are few",
    },
    min_states=3_000,
)
