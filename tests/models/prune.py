"""Prune: old events go, none that is owed goes, and nobody meets a silent gap.

A log of three events and one live cursor. Prune writes `pruned_to` under the head's
lock, below every cursor, and then deletes the events up to there one by one: it locks
an event, passing over one that is locked, looks in a later statement whether it is
owed, and deletes it. An operator resends one event, once, and holds the event's row for
that. An operator begins one run over the past: it reads `pruned_to` under the head's
lock, and says what is gone.

`router/flow/prune.py`, `router/flow/route/head.py` and `router/operate/resend.py` do
this, but for runs, which the router does not have yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.models.model import Model, Step

EVENTS = 3


class Deletion(NamedTuple):
    event: int
    is_locked: bool
    #: What its look found; None before.
    is_owed: bool | None = None


class State(NamedTuple):
    events: frozenset[int] = frozenset(range(1, EVENTS + 1))
    live: int = 0
    pruned_to: int = 0
    #: Up to where events are being deleted.
    deletes_to: int = 0
    deletion: Deletion | None = None
    #: The run's position; it reads every event above it.
    run: int | None = None
    #: What a transaction with the head's lock has read, and will write.
    prunes_to: int | None = None
    run_begins_at: int | None = None
    #: The event that a resend is about to make a row of, or has made one of.
    resending: int | None = None
    resent: int | None = None
    is_row_open: bool = False
    #: What a cursor wanted to read was not there.
    is_gap: bool = False


def actions(state: State, without: str) -> Iterator[Step]:
    yield from _mark(state, without)
    yield from _delete(state, without)
    yield from _begin_run(state, without)
    yield from _resend(state, without)
    if state.live < EVENTS:
        moved = _read_next(state, state.live)._replace(live=state.live + 1)
        yield "the live cursor moves", moved
    if state.run is not None and state.run < EVENTS:
        yield "the run moves", _read_next(state, state.run)._replace(run=state.run + 1)


def _mark(state: State, without: str) -> Iterator[Step]:
    cursors = [state.live] + ([] if state.run is None else [state.run])
    to = EVENTS if without == "below every cursor" else min(cursors)
    if state.prunes_to is not None:
        marked = state._replace(prunes_to=None, deletes_to=state.prunes_to)
        if without != "pruned_to before the deletion":
            marked = marked._replace(pruned_to=state.prunes_to)
        yield f"prune marks up to {state.prunes_to}", marked
    elif state.run_begins_at is None and to > state.deletes_to:
        yield "prune takes the head's lock", state._replace(prunes_to=to)
    if state.pruned_to < state.deletes_to:
        yield "pruned_to follows", state._replace(pruned_to=state.deletes_to)


def _delete(state: State, without: str) -> Iterator[Step]:
    is_owed = {state.resent} if state.is_row_open else set()
    held = state.resending if without != "a resend holds the event" else None
    deletion = state.deletion
    if deletion is None:
        for event in sorted(state.events):
            if event <= state.deletes_to and event != held:
                begun = Deletion(event, is_locked=True)
                if without == "look after the lock":
                    begun = Deletion(event, is_locked=False, is_owed=event in is_owed)
                yield f"prune begins with {event}", state._replace(deletion=begun)
    elif deletion.is_owed is None:
        looked = deletion._replace(is_owed=deletion.event in is_owed)
        yield "prune asks whether the event is owed", state._replace(deletion=looked)
    elif deletion.is_owed and without != "what is owed stays":
        yield f"{deletion.event} stays", state._replace(deletion=None)
    elif deletion.is_locked or deletion.event != held:
        events = state.events - {deletion.event}
        deleted = state._replace(events=events, deletion=None)
        yield f"{deletion.event} is deleted", deleted


def _begin_run(state: State, without: str) -> Iterator[Step]:
    is_free = state.prunes_to is None or without == "a run takes the head's lock"
    if state.run_begins_at is not None:
        begun = state._replace(run=state.run_begins_at, run_begins_at=None)
        yield "the run begins", begun
    elif is_free and state.run is None:
        read = state._replace(run_begins_at=state.pruned_to)
        yield "a run reads what is gone", read


def _resend(state: State, without: str) -> Iterator[Step]:
    locked: set[int] = set()
    if state.deletion and state.deletion.is_locked:
        locked = {state.deletion.event}
    if without == "a resend holds the event":
        locked = set()
    if state.resending is not None:
        made = state._replace(resending=None, resent=state.resending, is_row_open=True)
        yield f"{state.resending} is owed again", made
    elif state.resent is None:
        for event in sorted(state.events - locked):
            if event <= state.live:
                yield f"a resend of {event} begins", state._replace(resending=event)
    if state.is_row_open:
        yield "the resent event is acknowledged", state._replace(is_row_open=False)


def _read_next(state: State, position: int) -> State:
    is_gap = state.is_gap or position + 1 not in state.events
    return state._replace(is_gap=is_gap)


def no_silent_gap(state: State) -> bool:
    return not state.is_gap


def what_is_owed_is_there(state: State) -> bool:
    return not state.is_row_open or state.resent in state.events


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={
        "no silent gap": no_silent_gap,
        "what is owed is there": what_is_owed_is_there,
    },
    goal=lambda state: not state.events,
    planted={
        "a run takes the head's lock": "no silent gap",
        "below every cursor": "no silent gap",
        "pruned_to before the deletion": "no silent gap",
        "a resend holds the event": "what is owed is there",
        "look after the lock": "what is owed is there",
        "what is owed stays": "what is owed is there",
    },
    min_states=2_000,
)
