"""The history checker, in the manner of Jepsen: what was promised and what happened.

Pure: it is told what customers were told, what the database holds and what effects
there are, and classes every pair of an order and a subscriber.
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


class Told(StrEnum):
    """What the customer was told."""

    OK = "ok"
    FAILED = "failed"
    #: Nothing: the process died, or the database left during COMMIT.
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
    told: Mapping[str, Told]
    #: The orders that are in the database at the end.
    recorded: AbstractSet[str]
    effects: Mapping[Pair, int]
    #: What somebody still means to do.
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
    """Class everything that happened and everything that should have."""
    owed = _owed(history, rules)
    wanted = [pair for pair in owed if not rules.is_refused(pair)]
    done = Counter(history.effects)
    missing = [pair for pair in wanted if not done[pair]]
    more = [pair for pair, count in done.items() if count > 1]
    unknown = {order for order, told in history.told.items() if told is Told.UNKNOWN}
    return Verdict(
        lost=[*_unrecorded(history), *_lost(missing, history)],
        doubled=[pair for pair in more if pair[1] not in rules.at_least_once],
        repeated=[pair for pair in more if pair[1] in rules.at_least_once],
        ghost=[*_unwanted(history), *_ghosts(done, frozenset(wanted))],
        recovered=[pair for pair in wanted if pair[0] in unknown and done[pair]],
        stuck=[pair for pair in owed if pair in history.open and not done[pair]],
        failed_tasks=sum(history.failed_tasks.values()),
        failed_tasks_expected=len(owed) - len(wanted),
        given_up=[pair for pair in wanted if pair in history.failed_tasks],
    )


def _owed(history: History, rules: Rules) -> list[Pair]:
    """Told ok, or not told and in the database all the same."""
    return [
        (order, name)
        for order, told in history.told.items()
        if told is Told.OK or (told is Told.UNKNOWN and order in history.recorded)
        for name in rules.subscribers
    ]


def _lost(missing: Sequence[Pair], history: History) -> list[Pair]:
    """Nobody means to do it any more, and no failed task says why."""
    return [
        pair
        for pair in missing
        if pair not in history.open and pair not in history.failed_tasks
    ]


def _ghosts(done: Mapping[Pair, int], wanted: AbstractSet[Pair]) -> list[Pair]:
    return [pair for pair, count in done.items() if count and pair not in wanted]


def _unrecorded(history: History) -> list[Pair]:
    return [
        (order, THE_ORDER)
        for order, told in history.told.items()
        if told is Told.OK and order not in history.recorded
    ]


def _unwanted(history: History) -> list[Pair]:
    return [
        (order, THE_ORDER)
        for order in history.recorded
        if history.told.get(order, Told.FAILED) is Told.FAILED
    ]
