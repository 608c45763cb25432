"""Chunks of one key: a batch transport publishes successive events of a key in order.

Three rows of one key: the first is due, the others are held behind it. A worker claims
the due row, commits, and then lets held rows join its chunk, those directly behind. It
publishes them in order and settles each; the first that fails ends the chunk, and the
rest is given back. A lease runs out: its rows are suspects then, and go alone. An
operator takes the rows of a chunk back at any moment (a switch of the transport), which
the worker notices only when it settles.

Whatever is given back, only the first row of the key is due; the rest is held again. A
receiver may get an event twice, but never for the first time before the one before it.

`router/flow/order.py` and `router/flow/deliver/claiming.py` do this for foreign
routers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.models.model import Model, Step

EVENTS = 3
WORKERS = 2
HELD, DUE, DONE = "held", "due", "acknowledged"


class Row(NamedTuple):
    #: HELD, DUE or DONE, or the token of its lease.
    state: str | int
    #: Its worker vanished: it shares no chunk.
    is_suspect: bool = False


class Chunk(NamedTuple):
    token: int
    rows: tuple[int, ...]
    may_join: bool = True
    #: The first row is published, and not settled yet.
    is_published: bool = False


class State(NamedTuple):
    rows: tuple[Row, ...] = (Row(DUE), *(Row(HELD),) * (EVENTS - 1))
    chunks: tuple[Chunk | None, ...] = (None,) * WORKERS
    #: How many events the receiver has got, in order; a later one came too early.
    published: int = 0
    is_too_early: bool = False
    #: How often rows are taken back or lost.
    losses_left: int = 2


def actions(state: State, without: str) -> Iterator[Step]:
    for worker, chunk in enumerate(state.chunks):
        name = f"worker {worker}"
        if chunk is None:
            yield from _claim(state, worker)
            continue
        if chunk.may_join:
            yield from _join(state, worker, chunk, without)
        if not chunk.is_published:
            yield f"{name} publishes {chunk.rows[0]}", _publish(state, worker, chunk)
            yield f"{name} fails to publish", _fail(state, worker, chunk, without)
        else:
            yield f"{name} settles {chunk.rows[0]}", _settle(state, worker, chunk)
        if state.losses_left:
            left = state._replace(losses_left=state.losses_left - 1)
            taken = _given_back(left, chunk.rows, chunk.token, without)
            yield f"the rows of {name} are taken back", taken
            lost = _given_back(left, chunk.rows, chunk.token, without, is_suspect=True)
            yield f"{name} vanishes, its lease runs out", _with(lost, worker, None)


def _claim(state: State, worker: int) -> Iterator[Step]:
    for number, row in enumerate(state.rows):
        if row.state == DUE:
            token = _new_token(state)
            claimed = _write(state, number, row._replace(state=token))
            chunk = Chunk(token, (number,), may_join=not row.is_suspect)
            yield f"worker {worker} claims {number}", _with(claimed, worker, chunk)


def _new_token(state: State) -> int:
    """One that is in nobody's hands: tokens that are forgotten may come again."""
    used = {row.state for row in state.rows}
    used |= {chunk.token for chunk in state.chunks if chunk is not None}
    return min(set(range(WORKERS + 1)) - used)


def _join(state: State, worker: int, chunk: Chunk, without: str) -> Iterator[Step]:
    ready = chunk._replace(may_join=False)
    yield f"worker {worker} lets none join", _with(state, worker, ready)
    is_leased = state.rows[chunk.rows[0]].state == chunk.token
    if not is_leased and without != "the head is still leased":
        return
    joined = state
    for number in range(chunk.rows[0] + 1, EVENTS):
        row = state.rows[number]
        if row.state != HELD or row.is_suspect:
            if without == "directly behind":
                continue
            return
        joined = _write(joined, number, row._replace(state=chunk.token))
        ready = ready._replace(rows=(*ready.rows, number))
        # Of its chunk it reads what has its token.
        read = ready if is_leased else ready._replace(rows=ready.rows[1:])
        yield f"worker {worker} lets {number} join", _with(joined, worker, read)


def _publish(state: State, worker: int, chunk: Chunk) -> State:
    number = chunk.rows[0]
    published = chunk._replace(is_published=True, may_join=False)
    return _with(state, worker, published)._replace(
        published=max(state.published, number + 1),
        is_too_early=state.is_too_early or number > state.published,
    )


def _settle(state: State, worker: int, chunk: Chunk) -> State:
    number, *rest = chunk.rows
    if state.rows[number].state != chunk.token:
        return _with(state, worker, None)
    settled = _write(state, number, Row(DONE))
    after = chunk._replace(rows=tuple(rest), is_published=False) if rest else None
    return _released(_with(settled, worker, after))


def _fail(state: State, worker: int, chunk: Chunk, without: str) -> State:
    """The first row waits for its next attempt; the rest is given back, or goes on.

    A worker that answers did not vanish: the row is no suspect any more.
    """
    first, rest = chunk.rows[0], chunk.rows[1:]
    if state.rows[first].state == chunk.token:
        state = _write(state, first, Row(chunk.token))
    if without == "a failure ends the chunk" and rest:
        failed = _given_back(state, (first,), chunk.token, without)
        return _with(failed, worker, chunk._replace(rows=rest, may_join=False))
    return _with(_given_back(state, chunk.rows, chunk.token, without), worker, None)


def _given_back(
    state: State,
    numbers: tuple[int, ...],
    token: int,
    without: str,
    *,
    is_suspect: bool = False,
) -> State:
    """What the lease still holds of these: one row is due, and the rest held again."""
    after = state
    own = [number for number in numbers if state.rows[number].state == token]
    for number in own:
        is_due = number == own[0] or without == "held again"
        is_suspect_now = is_suspect or state.rows[number].is_suspect
        row = Row(DUE if is_due else HELD, is_suspect_now)
        after = _write(after, number, row)
    return after


def _released(state: State) -> State:
    """The key's next row is due, if none of the key is due or leased."""
    if all(row.state in (HELD, DONE) for row in state.rows):
        for number, row in enumerate(state.rows):
            if row.state == HELD:
                return _write(state, number, row._replace(state=DUE))
    return state


def _write(state: State, number: int, row: Row) -> State:
    rows = (*state.rows[:number], row, *state.rows[number + 1 :])
    return state._replace(rows=rows)


def _with(state: State, worker: int, chunk: Chunk | None) -> State:
    chunks = (*state.chunks[:worker], chunk, *state.chunks[worker + 1 :])
    return state._replace(chunks=chunks)


def published_in_order(state: State) -> bool:
    return not state.is_too_early


def all_acknowledged(state: State) -> bool:
    return all(row.state == DONE for row in state.rows)


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={"published in order": published_in_order},
    goal=all_acknowledged,
    planted={
        "held again": "published in order",
        "a failure ends the chunk": "published in order",
        "the head is still leased": "published in order",
        "directly behind": "published in order",
    },
    min_states=3_000,
)
