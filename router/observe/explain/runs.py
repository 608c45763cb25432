"""What runs mean for an event: a backfill that has not come to it, replays beside."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from router.models import Run, RunKind, RunState
from router.models.gap import distance, place_name
from router.observe.explain.case import Case, Explanation, Facts, Verdict, moment
from router.observe.explain.filtering import rejected_by
from router.observe.explain.holding import held

#: Of a subscriber, the newest that cover the event.
MAX_RUNS = 20


def runs_covering(case: Case) -> Sequence[Any]:
    """The runs whose part of the log has the event, the newest first. One statement."""
    runs = Run.objects.filter(
        subscriber=case.subscriber, start__lt=case.position, end__gte=case.position
    )
    placed = runs.with_position().with_imported()
    return list(placed.order_by("-number")[:MAX_RUNS])


def of_backfill(case: Case, runs: Sequence[Any]) -> Explanation | None:
    """Which backfill gives the subscriber the event, or would have; None where none
    does, or it has passed the event."""
    ahead = [each for each in runs if _gives_later(case, each)]
    is_open = [each for each in ahead if each.is_open]
    run = next(iter(is_open), None) or next(iter(ahead), None)
    if run is None:
        return None
    if run.state == RunState.CANCELLED:
        sentence = (
            f"Backfill {run.number} of {case.subscriber} was cancelled at "
            f"{moment(run.finished_at)}, before it came to the event."
        )
        return case.explained(Verdict.CANCELLED, sentence, run=_facts(run))
    if holding := held(case, run=_facts(run)):
        return holding
    where = (
        "is paused"
        if run.state == RunState.PAUSED
        else f"is at {place_name(run.position)}, {_ahead(case, run):,} before"
    )
    sentence = f"It waits for backfill {run.number} of {case.subscriber}, which {where}"
    is_paused = run.state == RunState.PAUSED
    rest = ": it goes on after an operator resumes it." if is_paused else " the event."
    return case.explained(Verdict.WAITING_FOR_RUN, sentence + rest, run=_facts(run))


def _ahead(case: Case, run: Any) -> int:
    return distance(run.position, case.position, imported=run.imported)


def _state(run: Any) -> str:
    return f"{run.state}, at {place_name(run.position)} of {run.end:,}"


def beside(found: Explanation, case: Case, runs: Sequence[Any]) -> Explanation:
    """The explanation with the replays that cover the event."""
    replays = {
        f"run_{run.number}": _state(run)
        for run in runs
        if run.kind == RunKind.REPLAY and run.position is not None
    }
    if not replays:
        return found
    return replace(found, evidence={**found.evidence, "replays": replays})


def _gives_later(case: Case, run: Any) -> bool:
    is_ahead = run.position is not None and run.position < case.position
    if run.kind != RunKind.BACKFILL or not is_ahead:
        return False
    if case.event.only_for_id is not None:
        return False
    asked = copy(case.subscriber)
    asked.events, asked.filter = run.events, run.filter
    return (
        asked.asks_for(case.event.type)
        and asked.may_receive(case.event)
        and rejected_by(case, asked) is None
    )


def _facts(run: Any) -> Facts:
    return {
        "number": run.number,
        "state": run.state,
        "after_position": run.start,
        "to_position": run.end,
        "position": run.position,
        "rate_per_second": run.rate_per_second,
        "requested_by": run.requested_by,
        "reason": run.reason,
    }
