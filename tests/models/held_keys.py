"""Order: the rows of one key go one at a time, and no held row is forgotten.

Three events of one key of one ordered subscriber. A row that may not go yet is *held*:
it has no due time. At most one row of the key is *free*: due or leased. Every
transaction that closes or revives a row ends in the same question, `next_free`: which
held row is free now? It locks the subscriber first, reads in a later statement, and
commits.

Routing never waits for that lock: a frozen holder must not stop the log's head. It
holds the new row if any of the key is not over. What it holds behind a row that closes
in that moment, the sweep frees. A retry takes the head's lock as well, so that routing
does not decide meanwhile.

`router/flow/order.py` and `router/flow/cursor/in_line.py` do this for rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from tests.models.model import GOAL, Model, Step

UNROUTED, HELD, DUE, LEASED = "unrouted", "held", "due", "leased"
ACKNOWLEDGED, DEAD, CANCELLED = "acknowledged", "dead", "cancelled"
FREE = (DUE, LEASED)
EVENTS = 3
#: How many transactions are under way at once, and how often an operator acts.
TRANSACTIONS = 2
OPERATOR_ACTS = 2

Rows = tuple[str, ...]
#: A row, the state that it must still have, and its new state.
Write = tuple[int, str, str]


class Transaction(NamedTuple):
    """Closes, routes or revives a row; the sweep changes no row of its own."""

    name: str
    own: Write | None
    #: What its look found to be free; None before the look.
    frees: tuple[Write, ...] | None = None


class State(NamedTuple):
    rows: Rows = (UNROUTED,) * EVENTS
    #: In the order in which they began: of those that lock, the first one goes on.
    under_way: tuple[Transaction, ...] = ()
    #: Rows that routing held behind one that closed in that moment.
    missed: frozenset[int] = frozenset()
    #: Dead rows that an operator revived: later ones have passed them already.
    revived: frozenset[int] = frozenset()
    acts_left: int = OPERATOR_ACTS


def next_free(rows: Rows, on_dead: str) -> int | None:
    """The row that may go now: the earliest held one, if none is free already."""
    if any(row in FREE for row in rows):
        return None
    for number, row in enumerate(rows):
        if row == DEAD and on_dead == "hold":
            return None
        if row == HELD:
            return number
    return None


def actions(state: State, without: str, *, on_dead: str) -> Iterator[Step]:
    yield from _beginnings(state, without, on_dead)
    for place, transaction in enumerate(state.under_way):
        if transaction.frees is None:
            yield _look(state, place, without, on_dead)
        elif _has_lock(state, place) or without == "lock":
            yield _commit(state, place, on_dead)
    for number, row in enumerate(state.rows):
        if _is_locked(state, number):
            continue
        if row == DUE:
            yield f"claim {number}", _settled(state, (number, DUE, LEASED))
        if row == LEASED:
            # A failure, or a lease that ran out: the row stays the key's free one.
            yield f"give back {number}", _settled(state, (number, LEASED, DUE))


def _beginnings(state: State, without: str, on_dead: str) -> Iterator[Step]:
    if UNROUTED in state.rows:
        own = (state.rows.index(UNROUTED), UNROUTED, HELD)
        yield from _begin(state, "route", own, without, on_dead)
    for number, row in enumerate(state.rows):
        if row == LEASED:
            for end in (ACKNOWLEDGED, DEAD):
                yield from _begin(state, "settle", (number, row, end), without, on_dead)
        if state.acts_left and row in (HELD, *FREE, DEAD):
            yield from _begin(
                state, "cancel", (number, row, CANCELLED), without, on_dead
            )
        if state.acts_left and row == DEAD:
            yield from _begin(state, "revive", (number, row, HELD), without, on_dead)
    if HELD in state.rows and without != "sweep":
        yield from _begin(state, "sweep", None, without, on_dead)


def _begin(
    state: State, name: str, own: Write | None, without: str, on_dead: str
) -> Iterator[Step]:
    """A transaction begins where the locks that it takes are free."""
    is_locked = own is not None and _is_locked(state, own[0])
    if (
        is_locked
        or len(state.under_way) == TRANSACTIONS
        or _waits(state, name, without)
    ):
        return
    under_way = (*state.under_way, Transaction(name, own))
    acts = state.acts_left - (name in ("cancel", "revive"))
    begun = state._replace(under_way=under_way, acts_left=acts)
    if without == "look after the lock" and name != "route":
        # One statement locks and reads: it reads what was there before its wait.
        _, begun = _look(begun, len(under_way) - 1, without, on_dead)
    yield f"begin to {name} {own[0] if own else ''}", begun


def _waits(state: State, name: str, without: str) -> bool:
    """Routing and retries take the head's lock, all but routing the subscriber's."""
    names = {each.name for each in state.under_way}
    takes_head = (
        {"route", "revive"} if without != "a retry locks the head" else {"route"}
    )
    waits_for_head = name in takes_head and bool(names & takes_head)
    is_free = without in ("lock", "look after the lock") or name == "route"
    return waits_for_head or (not is_free and bool(names - {"route"}))


def _has_lock(state: State, place: int) -> bool:
    """Whether no transaction before this one has the subscriber's lock."""
    is_routing = state.under_way[place].name == "route"
    before = {each.name for each in state.under_way[:place]}
    return is_routing or before <= {"route"}


def _is_locked(state: State, number: int) -> bool:
    """Whether a transaction holds this row, to change it."""
    return any(each.own and each.own[0] == number for each in state.under_way)


def _look(state: State, place: int, without: str, on_dead: str) -> Step:
    transaction = state.under_way[place]
    rows = _written(state.rows, transaction.own)
    if transaction.name == "route":
        number = state.rows.index(UNROUTED)
        is_free = not _in_line(state.rows, on_dead) or without == "routing looks"
        frees = [number] if is_free else []
    else:
        frees = _frees(rows, transaction, without, on_dead)
    looked = transaction._replace(frees=tuple((free, HELD, DUE) for free in frees))
    under_way = list(state.under_way)
    under_way[place] = looked
    return f"{transaction.name} looks", state._replace(under_way=tuple(under_way))


def _in_line(rows: Rows, on_dead: str) -> bool:
    """Whether a row of the key is not over."""
    blocking = (HELD, *FREE, DEAD) if on_dead == "hold" else (HELD, *FREE)
    return any(row in blocking for row in rows)


def _frees(
    rows: Rows, transaction: Transaction, without: str, on_dead: str
) -> list[int]:
    name, own, _ = transaction
    if without == "release at the close" and name in ("settle", "cancel"):
        return []
    if without == "release at a cancel" and name == "cancel":
        return []
    if without == "other blockers" and own is not None:
        # It frees the row behind its own, whatever else holds that one.
        return [number for number in range(own[0], EVENTS) if rows[number] == HELD][:1]
    if without == "one free row" and name == "revive" and own is not None:
        # A blocker is an earlier row: nothing earlier is open, so it is due at once.
        earlier = rows[: own[0]]
        return [] if any(row in (HELD, *FREE) for row in earlier) else [own[0]]
    free = next_free(rows, on_dead)
    return [] if free is None else [free]


def _commit(state: State, place: int, on_dead: str) -> Step:
    transaction = state.under_way[place]
    under_way = state.under_way[:place] + state.under_way[place + 1 :]
    ended = state._replace(under_way=under_way)
    name, own, frees = transaction
    # Selected SKIP LOCKED: waiting for a row whose holder waits for this lock is a
    # deadlock.
    frees = tuple(each for each in frees or () if not _is_locked(ended, each[0]))
    if name == "route" and own is not None and _is_missed(ended, own, frees, on_dead):
        ended = ended._replace(missed=state.missed | {own[0]})
    if name == "revive" and own is not None:
        ended = ended._replace(revived=state.revived | {own[0]})
    return f"{name} commits", _settled(ended, own, *frees)


def _is_missed(
    state: State, own: Write, frees: tuple[Write, ...], on_dead: str
) -> bool:
    """Whether a close comes too early to see the new row, or has come."""
    is_closed = next_free(_written(state.rows, own, *frees), on_dead) == own[0]
    return is_closed or any(each.frees is not None for each in state.under_way)


def _written(rows: Rows, *writes: Write | None) -> Rows:
    """The rows after these writes; one that meets another state changes nothing."""
    after = list(rows)
    for write in writes:
        if write is not None and after[write[0]] == write[1]:
            after[write[0]] = write[2]
    return tuple(after)


def _settled(state: State, *writes: Write | None) -> State:
    """The state after these writes; of rows that are not held nothing is noted."""
    rows = _written(state.rows, *writes)
    held = {number for number, row in enumerate(rows) if row == HELD}
    return state._replace(
        rows=rows, missed=state.missed & held, revived=state.revived & held
    )


def one_at_a_time(state: State) -> bool:
    return sum(row in FREE for row in state.rows) <= 1


def in_order(state: State, *, on_dead: str) -> bool:
    """No row is free before an earlier one has gone, unless that one was revived."""
    blocking = (HELD, DEAD) if on_dead == "hold" else (HELD,)
    return not any(
        state.rows[earlier] in blocking and earlier not in state.revived
        for later, row in enumerate(state.rows)
        if row in FREE
        for earlier in range(later)
    )


def held_for_a_reason(state: State, *, on_dead: str) -> bool:
    """Once nothing is under way, only rows that a close missed wait for the sweep."""
    if state.under_way:
        return True
    free = next_free(state.rows, on_dead)
    return free is None or free in state.missed


def all_gone(state: State, *, on_dead: str) -> bool:
    """Nothing can go any more; rows behind a dead one wait for an operator."""
    is_open = UNROUTED in state.rows or any(row in FREE for row in state.rows)
    return not (is_open or state.under_way) and next_free(state.rows, on_dead) is None


def model(on_dead: str, min_states: int, planted: dict[str, str]) -> Model:
    return Model(
        start=State(),
        actions=partial(actions, on_dead=on_dead),
        invariants={
            "one at a time": one_at_a_time,
            "in order": partial(in_order, on_dead=on_dead),
            "held for a reason": partial(held_for_a_reason, on_dead=on_dead),
        },
        goal=partial(all_gone, on_dead=on_dead),
        planted={
            "lock": "held for a reason",
            "look after the lock": "held for a reason",
            "release at the close": "held for a reason",
            "release at a cancel": "held for a reason",
            "routing looks": "one at a time",
            "sweep": GOAL,
            **planted,
        },
        min_states=min_states,
    )


HOLD = model("hold", 2_000, {"other blockers": "in order"})
SKIP = model(
    "skip",
    3_000,
    {
        "other blockers": "one at a time",
        "one free row": "one at a time",
        "a retry locks the head": "one at a time",
    },
)
