"""Acknowledgements: merging and deleting leave each event covered exactly once.

Five events of a subscriber: 1, 3 and 5 were acknowledged in the stream, each with an
Acknowledgement; 2 and 4 were set aside, and their rows are acknowledged. A merge makes
one Acknowledgement of several neighbours; a deletion deletes a row, and adds it to the
Acknowledgement that covers it, or makes one. Each of them locks the cursor, reads in a
later statement, and writes.

To lock only the Acknowledgements that are replaced is not enough: the deletion finds
none that covers its event, a merge makes one that does, and the deletion makes another.
`router/flow/cursor/acknowledgements.py` merges so. No code deletes a row before its
event: what does one day, must lock the cursor.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from tests.models.model import Model, Step

EVENTS = 5
TRANSACTIONS = 2


class Acknowledgement(NamedTuple):
    first: int
    last: int
    count: int

    def covers(self, event: int) -> bool:
        return self.first <= event <= self.last


Read = tuple[Acknowledgement, ...]


class State(NamedTuple):
    acknowledgements: Read = tuple(Acknowledgement(n, n, 1) for n in (1, 3, 5))
    rows: frozenset[int] = frozenset({2, 4})
    #: Transactions that have read: the row to delete, or 0 of a merge; what they read.
    under_way: tuple[tuple[int, Read], ...] = ()


def actions(state: State, without: str) -> Iterator[Step]:
    limit = TRANSACTIONS if without in ("cursor's lock", "any lock") else 1
    if len(state.under_way) < limit:
        yield from _begin(state)
    for place, (row, read) in enumerate(state.under_way):
        others = state.under_way[:place] + state.under_way[place + 1 :]
        ended = state._replace(under_way=others)
        if row:
            yield f"the deletion of {row} commits", _delete(ended, row, read)
        else:
            yield "a merge commits", _merge(ended, read, without)


def _begin(state: State) -> Iterator[Step]:
    read = state.acknowledgements
    for first, last in combinations(range(len(read) + 1), 2):
        if last - first > 1:
            begun = _reads(state, 0, read[first:last])
            yield f"a merge reads {read[first:last]}", begun
    for row in sorted(state.rows - {row for row, _ in state.under_way}):
        covering = tuple(each for each in read if each.covers(row))
        yield f"a deletion of {row} reads", _reads(state, row, covering)


def _reads(state: State, row: int, read: Read) -> State:
    return state._replace(under_way=(*state.under_way, (row, read)))


def _merge(state: State, read: Read, without: str) -> State:
    if not set(read) <= set(state.acknowledgements) and without != "any lock":
        # Locked and read anew, some are not what they were: another merge came first.
        return state
    merged = Acknowledgement(
        read[0].first, read[-1].last, sum(each.count for each in read)
    )
    kept = [each for each in state.acknowledgements if each not in read]
    return state._replace(acknowledgements=tuple(sorted([*kept, merged])))


def _delete(state: State, row: int, read: Read) -> State:
    if not set(read) <= set(state.acknowledgements):
        return state
    kept = [each for each in state.acknowledgements if each not in read]
    covering = [each._replace(count=each.count + 1) for each in read]
    made = covering or [Acknowledgement(row, row, 1)]
    return state._replace(
        acknowledgements=tuple(sorted([*kept, *made])), rows=state.rows - {row}
    )


def covered_once(state: State) -> bool:
    """An event's row says what became of it, or else an Acknowledgement does."""
    return all(
        sum(each.covers(event) for each in state.acknowledgements) == 1
        for event in range(1, EVENTS + 1)
        if event not in state.rows
    )


def none_is_miscounted(state: State) -> bool:
    count = sum(each.count for each in state.acknowledgements)
    return count + len(state.rows) == EVENTS


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={
        "covered once": covered_once,
        "none is miscounted": none_is_miscounted,
    },
    goal=lambda state: len(state.acknowledgements) == 1 and not state.rows,
    planted={
        "cursor's lock": "covered once",
        "any lock": "none is miscounted",
    },
    min_states=150,
)
