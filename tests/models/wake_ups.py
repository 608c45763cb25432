"""Wake-ups: no event waits for a message that never comes, and messages are few.

Three events for one streamed subscriber. Routing and the dispatcher's look *mark* the
cursor, commit, and then send a message; a claim takes the lease and clears the mark.
The worker serves what it sees and ends its lease; an event that is routed between its
last look and that end is marked by nobody, for the cursor is leased. The look finds
every cursor with a wanted event above it, without lease and mark.

The broker loses any message, a dispatcher dies between mark and message, a worker dies
with its lease. Marks and leases end with time.

`router/flow/route/wanting.py`, `router/flow/dispatch/ring.py` and
`router/flow/cursor/turn.py` have this rule; `router/flow/dispatch/dispatcher.py` and
`router/flow/deliver/claiming.py` the same, with a mark for each row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.models.model import GOAL, Model, Step

EVENTS = 3
MAX_MESSAGES = 3


class State(NamedTuple):
    routed: int = 0
    position: int = 0
    is_marked: bool = False
    #: Up to where the worker has seen the log; None without a lease.
    leased_to: int | None = None
    is_worker_alive: bool = True
    #: Messages that a dispatcher is about to send, and that wait in the broker.
    to_send: int = 0
    messages: int = 0
    #: A mark that is about to be set, where messages go first.
    to_mark: bool = False
    #: Since the mark was set, the message may have been lost.
    is_lost: bool = False
    #: A mark has ended with its message still on its way: two are then.
    has_ended: bool = False


def actions(state: State, without: str) -> Iterator[Step]:
    is_free = state.leased_to is None and not state.is_marked
    if state.routed < EVENTS:
        routed = state._replace(routed=state.routed + 1)
        yield "route an event", _ring(routed, without) if is_free else routed
    has_room = state.to_send + state.messages < MAX_MESSAGES
    if is_free and has_room and state.position < state.routed and without != "look":
        yield "the look finds the cursor", _ring(state, without)
    if state.to_mark:
        yield "the mark is set", state._replace(is_marked=True, to_mark=False)
    if state.to_send:
        yield from _send(state._replace(to_send=state.to_send - 1), without)
    if state.messages:
        taken = state._replace(messages=state.messages - 1)
        yield "the broker loses a message", taken._replace(is_lost=True)
        yield "a worker takes a message", _claim(taken, without)
    if state.leased_to is not None:
        yield from _work(state, without)
    if state.is_marked and without != "marks end":
        is_on_its_way = state.messages + state.to_send > 0
        ended = state._replace(is_marked=False, is_lost=False)
        yield (
            "the mark ends",
            ended._replace(has_ended=state.has_ended or is_on_its_way),
        )


def _ring(state: State, without: str) -> State:
    rung = state._replace(to_send=state.to_send + 1)
    if without == "mark":
        return rung
    if without == "mark before the message":
        return rung._replace(to_mark=True)
    return rung._replace(is_marked=True, is_lost=False)


def _send(state: State, without: str) -> Iterator[Step]:
    yield "a message is sent", state._replace(messages=state.messages + 1)
    yield "the dispatcher dies before its message", state._replace(is_lost=True)
    is_unmarked = without != "unmark what was not sent"
    unsent = state._replace(is_marked=False) if is_unmarked else state
    yield "the broker refuses the message", unsent


def _claim(state: State, without: str) -> State:
    if state.leased_to is not None:
        return state
    leased = state._replace(leased_to=state.routed, is_worker_alive=True)
    if without == "a claim clears the mark":
        return leased
    return leased._replace(is_marked=False, is_lost=False)


def _work(state: State, without: str) -> Iterator[Step]:
    if not state.is_worker_alive:
        if without != "leases end":
            yield "the lease ends", state._replace(leased_to=None)
        return
    yield "the worker dies", state._replace(is_worker_alive=False)
    if state.position < (state.leased_to or 0):
        settled = state._replace(position=state.leased_to or 0)
        yield "the worker settles", settled
        yield "the worker settles and looks", settled._replace(leased_to=state.routed)
    else:
        yield "the worker ends its lease", state._replace(leased_to=None)


def a_mark_waits_for_a_message(state: State) -> bool:
    """Unless the message is lost: the mark must end by itself then."""
    is_coming = state.to_send + state.messages > 0
    return not state.is_marked or is_coming or state.is_lost


def messages_are_few(state: State) -> bool:
    return state.to_send + state.messages <= 1 or state.has_ended


def all_served(state: State) -> bool:
    return state.position == EVENTS


MODEL = Model(
    start=State(),
    actions=actions,
    invariants={
        "a mark waits for a message": a_mark_waits_for_a_message,
        "messages are few": messages_are_few,
    },
    goal=all_served,
    planted={
        "look": GOAL,
        "marks end": GOAL,
        "leases end": GOAL,
        "mark": "messages are few",
        "mark before the message": "a mark waits for a message",
        "unmark what was not sent": "a mark waits for a message",
        "a claim clears the mark": "a mark waits for a message",
    },
    min_states=700,
)
