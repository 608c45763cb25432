"""The history checker, in the manner of Jepsen: what was promised and what happened.

Pure. It compares how checkouts ended, what the database holds and which effects there
are, and puts every pair of an order and a subscriber into its class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum

#: An order's id and a subscriber's name.
Pair = tuple[str, str]
#: In place of a subscriber: the order itself.
THE_ORDER = "(order)"


class Outcome(StrEnum):
    """How a checkout ended for the customer."""

    OK = "ok"
    FAILED = "failed"
    #: No answer: the process died, or the database left during COMMIT.
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the subscribers promise."""

    subscribers: Sequence[str]
    #: Those that may do their work twice, under the same id.
    at_least_once: AbstractSet[str] = frozenset()
    #: The pairs that can only end as a failed task.
    is_refused: Callable[[Pair], bool] = lambda pair: False


@dataclass(frozen=True, kw_only=True)
class History:
    outcomes: Mapping[str, Outcome]
    #: The orders that are in the database at the end.
    recorded: AbstractSet[str]
    effects: Mapping[Pair, int]
    #: Work that is still to be done; `THE_ORDER`: it waits outside the database.
    open: AbstractSet[Pair] = frozenset()
    failed_tasks: Mapping[Pair, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The pairs of each class; a pair with three effects is doubled once."""

    lost: Sequence[Pair]
    doubled: Sequence[Pair]
    #: Done more than once by those that may.
    repeated: Sequence[Pair]
    ghost: Sequence[Pair]
    recovered: Sequence[Pair]
    stuck: Sequence[Pair]
    failed_tasks: int
    failed_tasks_expected: int
    #: Given up on without need.
    given_up: Sequence[Pair]

    @property
    def is_clean(self) -> bool:
        return not (
            self.lost or self.doubled or self.ghost or self.stuck or self.given_up
        ) and (self.failed_tasks == self.failed_tasks_expected)


def check(history: History, rules: Rules) -> Verdict:
    """Put everything that happened, and everything that should have, in its class."""
    owed = _owed(history, rules)
    wanted = [pair for pair in owed if not rules.is_refused(pair)]
    done = Counter(history.effects)
    missing = [pair for pair in wanted if not done[pair]]
    more = [pair for pair, count in done.items() if count > 1]
    unknown = _orders(history, Outcome.UNKNOWN)
    unrecorded = _unrecorded(history)
    waiting = [pair for pair in owed if pair in history.open and not done[pair]]
    return Verdict(
        lost=_lost([*unrecorded, *missing], history),
        doubled=[pair for pair in more if pair[1] not in rules.at_least_once],
        repeated=[pair for pair in more if pair[1] in rules.at_least_once],
        ghost=[*_unwanted(history), *_ghosts(done, frozenset(wanted))],
        recovered=[pair for pair in wanted if pair[0] in unknown and done[pair]],
        stuck=[*(pair for pair in unrecorded if pair in history.open), *waiting],
        failed_tasks=sum(history.failed_tasks.values()),
        failed_tasks_expected=len(owed) - len(wanted),
        given_up=[pair for pair in wanted if pair in history.failed_tasks],
    )


def _orders(history: History, outcome: Outcome) -> set[str]:
    return {order for order, ended in history.outcomes.items() if ended is outcome}


def _owed(history: History, rules: Rules) -> list[Pair]:
    """Of orders that ended well, or without an answer and are in the database."""
    unanswered = _orders(history, Outcome.UNKNOWN) & history.recorded
    orders = _orders(history, Outcome.OK) | unanswered
    return [(order, name) for order in sorted(orders) for name in rules.subscribers]


def _lost(missing: Sequence[Pair], history: History) -> list[Pair]:
    """No longer open, and no failed task says why."""
    return [
        pair
        for pair in missing
        if pair not in history.open and pair not in history.failed_tasks
    ]


def _ghosts(done: Mapping[Pair, int], wanted: AbstractSet[Pair]) -> list[Pair]:
    return [pair for pair, count in done.items() if count and pair not in wanted]


def _unrecorded(history: History) -> list[Pair]:
    missing = _orders(history, Outcome.OK) - history.recorded
    return [(order, THE_ORDER) for order in sorted(missing)]


def _unwanted(history: History) -> list[Pair]:
    return [
        (order, THE_ORDER)
        for order in history.recorded
        if history.outcomes.get(order, Outcome.FAILED) is Outcome.FAILED
    ]
