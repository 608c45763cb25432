"""The window: a subscriber that is served row by row has rows for its next events only.

A log of four events; each is good, or never acknowledged: its row waits for a retry for
ever. While its subscriber is not behind, routing makes the rows; its cursor stays where
it was, and is not looked at. A dispatcher knows of a window what its last look counted,
and what it made itself since then: two of them may make a window each between two
looks. Where an event does not fit, routing leaves it to the cursor: the subscriber is
*behind* from that position on.

A fill makes rows of the events above the cursor, under the cursor's lock, while fewer
rows than half a window *may go now*, and fewer than the limit are open. It never waits
for the head. Where it gets the head's lock, it goes up to the head, and routing makes
the rows again. A filler may freeze for ever: its subscriber stands still then, and the
log's head must not. (One that freezes with the head's lock is ended by the database
after 75 seconds, as routing is: that is left out.)

Driven by nothing: written beside `router/flow/route/window.py`, `behind.py` and
`router/flow/route/routing.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.models.model import GOAL, Model, Step

EVENTS = 4
DISPATCHERS = 2
WINDOW = 1
LIMIT = 2
#: Of a row in the limit: what two dispatchers make after their looks comes on top.
MAX_OPEN = LIMIT - 1 + DISPATCHERS * WINDOW
ABSENT, DUE, WAITING, DONE = "absent", "due", "waiting", "done"
OPEN = (DUE, WAITING)


class Known(NamedTuple):
    """What a dispatcher knows of the window."""

    is_crowded: bool = False
    made: int = 0


class State(NamedTuple):
    #: Whether each routed event is ever acknowledged; its place is the position.
    log: tuple[bool, ...] = ()
    is_behind: bool = False
    cursor: int = 0
    rows: tuple[str, ...] = (ABSENT,) * EVENTS
    known: tuple[Known, ...] = (Known(),) * DISPATCHERS
    #: Fills under way: the cursor that each has read, how far it fills, and whether
    #: there was room for more.
    fills: tuple[tuple[int, int, bool], ...] = ()
    is_frozen: bool = False
    moved_back: bool = False


def actions(state: State, without: str) -> Iterator[Step]:
    for number in range(DISPATCHERS):
        if len(state.log) < EVENTS:
            yield from _route(state, number, without)
        seen = state._replace(known=_with(state.known, number, _look(state, without)))
        if seen != state:
            yield f"dispatcher {number} looks", seen
    yield from _fill(state, without)
    for place, row in enumerate(state.rows):
        if row == DUE:
            end = DONE if state.log[place] else WAITING
            yield f"{place + 1} ends {end}", _set(state, place, end)
        if row == WAITING:
            yield f"{place + 1} is due again", _set(state, place, DUE)


def _look(state: State, without: str) -> Known:
    is_full = _open_count(state) >= LIMIT and without != "a look counts what is open"
    return Known(is_crowded=is_full or state.rows.count(DUE) > WINDOW / 2)


def _route(state: State, number: int, without: str) -> Iterator[Step]:
    if state.fills and without == "routing passes over":
        return
    before = len(state.log)
    for is_good in (True, False):
        name = (
            f"dispatcher {number} routes {before + 1}, {'good' if is_good else 'bad'}"
        )
        routed = state._replace(log=(*state.log, is_good))
        if state.is_behind:
            yield name, routed
        elif _fits(state.known[number], without):
            made = state.known[number].made + (without != "rows made since the look")
            known = _with(state.known, number, Known(made=made))
            row = _set(routed, before, DUE)
            yield f"{name}, with its row", row._replace(known=known)
        else:
            place = before + (without == "behind from the first one that did not fit")
            yield f"{name}, falls behind", routed._replace(is_behind=True, cursor=place)


def _fits(known: Known, without: str) -> bool:
    is_crowded = known.is_crowded and without != "crowded windows"
    return not is_crowded and known.made + 1 <= WINDOW


def _fill(state: State, without: str) -> Iterator[Step]:
    fillers = 2 if without == "cursor's lock" else 1
    room = _room(state, without)
    to = min(len(state.log), state.cursor + room)
    if state.is_behind and len(state.fills) < fillers and room > 0:
        begun = (state.cursor, to, to < state.cursor + room)
        yield f"a fill up to {to} begins", state._replace(fills=(*state.fills, begun))
    if not state.fills or state.is_frozen:
        return
    yield "the filler freezes", state._replace(is_frozen=True)
    for number, (after, to, has_room) in enumerate(state.fills):
        others = state.fills[:number] + state.fills[number + 1 :]
        filled = _filled(state, after, to)._replace(fills=others)
        yield f"the fill up to {to} commits", filled
        if has_room:
            yield _catch_up(filled, after, to, without)


def _catch_up(filled: State, after: int, to: int, without: str) -> Step:
    """The filler has the head's lock: what was routed meanwhile gets rows as well."""
    if without == "head's lock":
        return f"the fill up to {to} ends at the head", _follow(filled)
    head = min(len(filled.log), after + WINDOW)
    caught_up = _filled(filled, to, head)
    if head == len(filled.log):
        caught_up = _follow(caught_up)
    return f"the fill up to {head} commits, with the head's lock", caught_up


def _follow(state: State) -> State:
    return state._replace(is_behind=False)


def _room(state: State, without: str) -> int:
    """How many rows may be made; none while there is not room for half a window."""
    open_rows = _open_count(state)
    ready = state.rows.count(DUE)
    if without == "rows that may go now":
        ready = open_rows
    if ready > WINDOW / 2:
        return 0
    room = WINDOW - ready
    return room if without == "limit" else min(room, LIMIT - open_rows)


def _open_count(state: State) -> int:
    return sum(row in OPEN for row in state.rows)


def _filled(state: State, after: int, to: int) -> State:
    """ON CONFLICT DO NOTHING: a row that is there stays as it is."""
    rows = tuple(
        DUE if after <= place < to and row == ABSENT else row
        for place, row in enumerate(state.rows)
    )
    moved_back = state.moved_back or to < state.cursor
    return state._replace(rows=rows, cursor=to, moved_back=moved_back)


def _set(state: State, place: int, new: str) -> State:
    return state._replace(rows=_with(state.rows, place, new))


def _with(values: tuple[Any, ...], place: int, new: Any) -> tuple[Any, ...]:
    return (*values[:place], new, *values[place + 1 :])


def a_row_or_a_place_above_the_cursor(state: State) -> bool:
    """Each routed event has exactly one of the two."""
    end = state.cursor if state.is_behind else len(state.log)
    return all((row != ABSENT) == (place < end) for place, row in enumerate(state.rows))


def never_backwards(state: State) -> bool:
    return not state.moved_back


def rows_are_few(state: State) -> bool:
    return _open_count(state) <= MAX_OPEN


def all_served(state: State) -> bool:
    """Every good event is done, but behind a frozen filler and beyond the limit."""
    if len(state.log) < EVENTS:
        return False
    is_stopped = state.is_frozen or _open_count(state) >= LIMIT
    good = zip(state.log, state.rows, strict=True)
    return is_stopped or all(row == DONE for is_good, row in good if is_good)


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={
        "a row, or a place above the cursor": a_row_or_a_place_above_the_cursor,
        "never backwards": never_backwards,
        "rows are few": rows_are_few,
    },
    goal=all_served,
    planted={
        "behind from the first one that did not fit": (
            "a row, or a place above the cursor"
        ),
        "head's lock": "a row, or a place above the cursor",
        "cursor's lock": "never backwards",
        "crowded windows": "rows are few",
        "rows made since the look": "rows are few",
        "a look counts what is open": "rows are few",
        "limit": "rows are few",
        "routing passes over": GOAL,
        "rows that may go now": GOAL,
    },
    min_states=3_000,
)
