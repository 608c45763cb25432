"""What every model of this folder is made of, and how minicheck searches it.

A model is a small world: a few events, two workers, one dispatcher. `actions` lists
every step that any of them may take next. The search takes all steps in every order, so
it meets each interleaving of the small world, and its counterexamples are the shortest
there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from minicheck import Protocol, check_liveness, check_safety

#: What happens, in words, and the state after it.
Step = tuple[str, Any]
#: Stands for `Model.goal` in `Model.planted`.
GOAL = "goal"
MAX_STATES = 200_000


@dataclass(frozen=True, kw_only=True)
class Model:
    """A rule of the delivery protocol as a finite state machine.

    `actions` gets the state and the name of the rule that is taken away, "" for none.
    """

    start: Any
    actions: Callable[[Any, str], Iterable[Step]]
    #: What must be true in every state.
    invariants: Mapping[str, Callable[[Any], bool]]
    #: From every state a state must be reachable where this is true.
    goal: Callable[[Any], bool] | None = None
    #: Rule → the invariant, or `GOAL`, that fails without it.
    planted: Mapping[str, str]
    #: A search that sees fewer states than this explores nothing.
    min_states: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a whole search found."""

    state_count: int
    #: Invariant, or `GOAL` → the shortest way to break it, one step a line.
    broken: Mapping[str, str]


def search(model: Model) -> Result:
    """Search everything that can happen; raises `AssertionError` if it is too much."""
    protocol = _protocol(model)
    safety = check_safety(protocol, max_states=MAX_STATES)
    assert safety["exhaustive"], safety["incomplete_reason"]
    verdicts = dict(safety["properties"])
    if model.goal is not None:
        verdicts[GOAL] = check_liveness(protocol)
    return Result(
        state_count=safety["reachable_states"],
        broken={
            name: _in_words(verdict)
            for name, verdict in verdicts.items()
            if not verdict["holds"]
        },
    )


def counterexample(model: Model, name: str, *, without: str = "") -> str | None:
    """The shortest way to break the invariant, or `GOAL`, without a rule."""
    protocol = _protocol(model, without)
    if name == GOAL:
        verdict = check_liveness(protocol)
    else:
        protocol.invariants = {name: protocol.invariants[name]}
        safety = check_safety(_ending_at_its_first_violation(protocol))
        verdict = safety["properties"][name]
    return None if verdict["holds"] else _in_words(verdict)


def _protocol(model: Model, without: str = "") -> Protocol:
    """The model as minicheck knows one, its whole state in one field."""

    @cache
    def transitions(fields: tuple[Any]) -> list[tuple[str, tuple[Any]]]:
        [state] = fields
        return [(step, (after,)) for step, after in model.actions(state, without)]

    def on_state(condition: Callable[[Any], bool]) -> Callable[[Any], bool]:
        return lambda fields: condition(fields["state"])

    return Protocol(
        name=type(model.start).__module__,
        candidate=False,
        fields=("state",),
        initial=(model.start,),
        transitions=transitions,
        invariants={name: on_state(each) for name, each in model.invariants.items()},
        goal=on_state(model.goal) if model.goal else None,
    )


def _ending_at_its_first_violation(protocol: Protocol) -> Protocol:
    """minicheck searches on after a counterexample: nothing follows the first one."""
    [(name, condition)] = protocol.invariants.items()
    is_violated = False

    def watched(fields: Mapping[str, Any]) -> bool:
        nonlocal is_violated
        is_violated = is_violated or not condition(fields)
        return not is_violated

    return replace(
        protocol,
        invariants={name: watched},
        transitions=lambda state: [] if is_violated else protocol.transitions(state),
    )


def _in_words(verdict: Mapping[str, Any]) -> str:
    return "\n".join(
        f"{each['label'] or 'start'}: {each['state']['state']}"
        for each in verdict["counterexample"]
    )
