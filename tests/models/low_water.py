"""The low-water mark: the look for unrouted events may begin above it, and misses none.

Three transactions publish an event each: a transaction draws a number, which locks the
table, inserts the event, and commits. It may stop for long at each step. One of them
may roll back, or be prepared, which gives it another name. A dispatcher looks at the
publishers, then routes what is committed above its mark, and now and then everything.

Driven here: `LowWater` of `router/flow/route/low_water.py`, as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from router.flow.route.low_water import PREPARED, LowWater
from tests.models.model import Model, Step

TRANSACTIONS = 3
DRAWN, INSERTED, COMMITTED, ROLLED_BACK = (
    "drawn",
    "inserted",
    "committed",
    "rolled back",
)


class Publisher(NamedTuple):
    """A transaction that publishes one event."""

    at: str = "idle"
    number: int = 0
    #: The events that were committed when it drew its number.
    comes_after: frozenset[int] = frozenset()


class Mark(NamedTuple):
    """What a `LowWater` knows, and the number above which its dispatcher looks now."""

    mark: int = 0
    decided: int = 0
    candidate: int = 0
    awaited: frozenset[str] = frozenset({PREPARED})
    look_after: int | None = None


class State(NamedTuple):
    publishers: tuple[Publisher, ...] = (Publisher(),) * TRANSACTIONS
    #: Numbers in the order of their positions.
    routed: tuple[int, ...] = ()
    mark: Mark = Mark()


def actions(state: State, without: str) -> Iterator[Step]:
    for place, publisher in enumerate(state.publishers):
        # They are alike: the first idle one is the next.
        if publisher.at == "idle" and Publisher() in state.publishers[:place]:
            break
        for name, after in _publish(state, publisher, is_plain=place > 0):
            publishers = list(state.publishers)
            publishers[place] = after
            yield f"{place} {name}", state._replace(publishers=tuple(publishers))
    if state.mark.look_after is None:
        yield from _start(state, state.mark, without)
    else:
        yield _route(state, state.mark)


def _publish(
    state: State, publisher: Publisher, *, is_plain: bool
) -> Iterator[tuple[str, Publisher]]:
    drawn = sum(bool(each.number) for each in state.publishers)
    if publisher.at == "idle":
        after = Publisher(DRAWN, drawn + 1, frozenset(_committed(state)))
        yield f"draws {drawn + 1}", after
    elif publisher.at == DRAWN:
        yield "inserts", publisher._replace(at=INSERTED)
    elif publisher.at in (INSERTED, PREPARED):
        yield "commits", publisher._replace(at=COMMITTED)
    if publisher.at == INSERTED and not is_plain:
        yield "rolls back", publisher._replace(at=ROLLED_BACK)
        yield "is prepared", publisher._replace(at=PREPARED)


def _committed(state: State) -> list[int]:
    return [each.number for each in state.publishers if each.at == COMMITTED]


def _start(state: State, mark: Mark, without: str) -> Iterator[Step]:
    yield "begins a look", state._replace(mark=mark._replace(look_after=mark.mark))
    yield "begins a full look", state._replace(mark=mark._replace(look_after=0))
    low = _low_water(mark)
    low._look(max(_committed(state), default=0), _publishing(state, without))
    if without == "prepared transactions":
        low._awaited -= {PREPARED}
    if without == "a look of its own":
        low.mark = low._decided
    looked = _known(low)._replace(look_after=low.mark)
    yield "looks at the publishers and begins a look", state._replace(mark=looked)


def _publishing(state: State, without: str) -> set[str]:
    at_work = [DRAWN, INSERTED]
    if without == "transactions that publish":
        at_work = []
    if without == "transactions without an id":
        # PostgreSQL gives a transaction its id with the first row that it writes.
        at_work = [INSERTED]
    names = {f"{n}" for n, each in enumerate(state.publishers) if each.at in at_work}
    is_any_prepared = any(each.at == PREPARED for each in state.publishers)
    return names | ({PREPARED} if is_any_prepared else set())


def _route(state: State, mark: Mark) -> Step:
    unrouted = [
        number
        for number in sorted(_committed(state))
        if number > (mark.look_after or 0) and number not in state.routed
    ]
    low = _low_water(mark)
    low.note_routed(unrouted[-1] if unrouted else None)
    routed = (*state.routed, *unrouted)
    return f"routes {unrouted}", state._replace(routed=routed, mark=_known(low))


def _low_water(mark: Mark) -> LowWater:
    low = LowWater()
    low.mark, low._decided, low._candidate, awaited, _ = mark
    low._awaited = set(awaited)
    return low


def _known(low: LowWater) -> Mark:
    return Mark(low.mark, low._decided, low._candidate, frozenset(low._awaited))


def in_order_of_commits(state: State) -> bool:
    """An event that was published after another's commit comes after it."""
    return all(
        publisher.comes_after
        <= set(state.routed[: state.routed.index(publisher.number)])
        for publisher in state.publishers
        if publisher.number in state.routed
    )


def all_routed(state: State) -> bool:
    return all(
        each.at == ROLLED_BACK or each.number in state.routed
        for each in state.publishers
    )


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={
        "in order of commits": in_order_of_commits,
    },
    goal=all_routed,
    planted={
        "transactions that publish": "in order of commits",
        "transactions without an id": "in order of commits",
        "prepared transactions": "in order of commits",
        "a look of its own": "in order of commits",
    },
    min_states=3_000,
)
