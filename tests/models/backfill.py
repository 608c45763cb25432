"""Backfill beside live: a new subscriber gets each event once, with no gap.

A log that grows to four events. A subscriber is made with `from` the beginning: in one
transaction, its live cursor starts at the head, `live_from`, and a run walks the events
up to there. Both are served in the stream and share one Turn, because the handler was
promised one chunk at a time. A lease runs out at any moment, and its worker settles
nothing then.

`router/operate/starting.py` makes both, `router/flow/cursor/runs_in_stream.py` says
which is served next, and `router/flow/cursor/claim_sql.py` reads the run up to its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.models.model import Model, Step

EVENTS = 4
CHUNK = 2
LIVE, RUN = 0, 1


class Lease(NamedTuple):
    cursor: int
    position: int
    to: int


class State(NamedTuple):
    head: int = 0
    #: What the transaction that makes the subscriber has read as the head.
    live_from: int | None = None
    #: The positions of the live cursor and of the run; None before they are made.
    positions: tuple[int, int] | None = None
    run_ends_at: int = 0
    leases: tuple[Lease, ...] = ()
    effects: tuple[int, ...] = (0,) * EVENTS


def actions(state: State, without: str) -> Iterator[Step]:
    if state.head < EVENTS:
        yield "route an event", state._replace(head=state.head + 1)
    if state.positions is None:
        yield _make_subscriber(state, without)
        return
    for cursor in (LIVE, RUN):
        yield from _claim(state, cursor, state.positions[cursor], without)
    for lease in state.leases:
        ended = state._replace(leases=tuple(e for e in state.leases if e != lease))
        yield f"the lease of {lease} runs out", ended
        yield f"settle {lease}", _settle(ended, lease, state.positions)


def _make_subscriber(state: State, without: str) -> Step:
    if state.live_from is None:
        return "read the head", state._replace(live_from=state.head)
    ends_at = state.live_from
    if without == "one live_from":
        ends_at = state.head
    if without == "the run ends at live_from":
        ends_at = EVENTS
    made = state._replace(positions=(state.live_from, 0), run_ends_at=ends_at)
    return "make the live cursor and the run", made


def _claim(state: State, cursor: int, position: int, without: str) -> Iterator[Step]:
    is_taken = bool(state.leases)
    if without == "one Turn":
        is_taken = any(lease.cursor == cursor for lease in state.leases)
    if is_taken:
        return
    end = state.head if cursor == LIVE else min(state.head, state.run_ends_at)
    for to in range(position + 1, min(end, position + CHUNK) + 1):
        lease = Lease(cursor, position, to)
        yield f"claim {lease}", state._replace(leases=(*state.leases, lease))


def _settle(state: State, lease: Lease, positions: tuple[int, int]) -> State:
    """The cursor `WHERE position` is what the claim read."""
    moved = list(positions)
    moved[lease.cursor] = lease.to
    effects = tuple(
        min(2, count + (lease.position < event <= lease.to))
        for event, count in enumerate(state.effects, start=1)
    )
    return state._replace(positions=(moved[LIVE], moved[RUN]), effects=effects)


def no_event_runs_twice(state: State) -> bool:
    return max(state.effects) <= 1


def no_gap(state: State) -> bool:
    """Once both cursors are at their ends, each event of the log has run."""
    if state.positions is None:
        return True
    live, run = state.positions
    is_done = live == state.head and run >= min(state.head, state.run_ends_at)
    return not is_done or all(state.effects[: state.head])


def one_chunk_at_a_time(state: State) -> bool:
    return len(state.leases) <= 1


def all_served(state: State) -> bool:
    return all(state.effects)


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={
        "no event runs twice": no_event_runs_twice,
        "no gap": no_gap,
        "one chunk at a time": one_chunk_at_a_time,
    },
    goal=all_served,
    planted={
        "one live_from": "no event runs twice",
        "the run ends at live_from": "no event runs twice",
        "one Turn": "one chunk at a time",
    },
    min_states=180,
)
