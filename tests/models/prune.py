"""Prune: old events go, and nobody who asks for them is left with a silent gap.

A log of three events and one live cursor. Prune writes `pruned_to` under the head's
lock, below every cursor, and then deletes the events up to there one by one, but for
those with an open row. An operator begins one run over the past, and resends one event:
both read `pruned_to` under the same lock, and say what is gone.

`router/` deletes nothing yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.models.model import Model, Step

EVENTS = 3


class State(NamedTuple):
    events: frozenset[int] = frozenset(range(1, EVENTS + 1))
    live: int = 0
    pruned_to: int = 0
    #: Up to where events are being deleted.
    deletes_to: int = 0
    #: The run's position; it reads every event above it.
    run: int | None = None
    resent: int | None = None
    is_row_open: bool = False
    #: Transactions that have read, and will write: name and what they read.
    under_way: tuple[tuple[str, int], ...] = ()
    #: What a cursor wanted to read, and was not there.
    is_gap: bool = False


def actions(state: State, without: str) -> Iterator[Step]:
    yield from _begin(state, without)
    for name, read in state.under_way:
        others = tuple(each for each in state.under_way if each != (name, read))
        ended = state._replace(under_way=others)
        yield f"the {name} commits", _commit(ended, name, read, without)
    if state.pruned_to < state.deletes_to:
        yield "pruned_to follows", state._replace(pruned_to=state.deletes_to)
    for event in sorted(state.events):
        is_kept = state.is_row_open and event == state.resent
        if event <= state.deletes_to and (
            not is_kept or without == "rows keep their event"
        ):
            yield f"delete {event}", state._replace(events=state.events - {event})
    if state.live < EVENTS:
        yield (
            "the live cursor moves",
            _read_next(state, state.live)._replace(live=state.live + 1),
        )
    if state.run is not None and state.run < EVENTS:
        yield "the run moves", _read_next(state, state.run)._replace(run=state.run + 1)
    if state.is_row_open:
        yield "the resent event is done", state._replace(is_row_open=False)


def _begin(state: State, without: str) -> Iterator[Step]:
    """Begin a transaction with the head's lock, and read under it."""
    names = {name for name, _ in state.under_way}
    is_free = not state.under_way
    cursors = [state.live] + ([] if state.run is None else [state.run])
    lowest = EVENTS if without == "below every cursor" else min(cursors)
    if is_free and lowest > state.deletes_to:
        yield "prune begins", _reads(state, "prune", lowest)
    may_begin = is_free or without == "a run takes the head's lock"
    if may_begin and state.run is None and "run" not in names:
        yield "a run begins", _reads(state, "run", state.pruned_to)
    may_begin = is_free or without == "a resend takes the head's lock"
    if may_begin and state.resent is None and "resend" not in names:
        for event in sorted(state.events):
            if state.pruned_to < event <= state.live:
                yield f"a resend of {event} begins", _reads(state, "resend", event)


def _reads(state: State, name: str, read: int) -> State:
    return state._replace(under_way=(*state.under_way, (name, read)))


def _commit(state: State, name: str, read: int, without: str) -> State:
    if name == "run":
        return state._replace(run=read)
    if name == "resend":
        return state._replace(resent=read, is_row_open=True)
    pruned_to = read
    if without == "pruned_to before the deletion":
        pruned_to = state.pruned_to
    return state._replace(pruned_to=pruned_to, deletes_to=read)


def _read_next(state: State, position: int) -> State:
    is_gap = state.is_gap or position + 1 not in state.events
    return state._replace(is_gap=is_gap)


def no_silent_gap(state: State) -> bool:
    return not state.is_gap


def an_open_row_has_its_event(state: State) -> bool:
    return not state.is_row_open or state.resent in state.events


def all_pruned(state: State) -> bool:
    return not state.events


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={
        "no silent gap": no_silent_gap,
        "an open row has its event": an_open_row_has_its_event,
    },
    goal=all_pruned,
    planted={
        "a run takes the head's lock": "no silent gap",
        "below every cursor": "no silent gap",
        "pruned_to before the deletion": "no silent gap",
        "a resend takes the head's lock": "an open row has its event",
        "rows keep their event": "an open row has its event",
    },
    min_states=500,
)
