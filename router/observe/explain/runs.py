"""What runs mean for an event: a backfill that has not come to it, replays beside."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext

from router.models import Run, RunKind, RunState
from router.models.gap import distance, place_name
from router.observe.explain.case import Case, Explanation, Facts, Verdict, moment
from router.observe.explain.filtering import rejected_by
from router.observe.explain.holding import held
from router.observe.wording import grouped

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
        return case.explained(Verdict.CANCELLED, _cancelled(case, run), run=_facts(run))
    if holding := held(case, run=_facts(run)):
        return holding
    return case.explained(Verdict.WAITING_FOR_RUN, _waits(case, run), run=_facts(run))


def _cancelled(case: Case, run: Any) -> str:
    text = gettext(
        "Backfill %(run)s of %(subscriber)s was cancelled at %(moment)s, before it "
        "came to the event."
    )
    return text % {
        "run": run.number,
        "subscriber": case.subscriber,
        "moment": moment(run.finished_at),
    }


def _waits(case: Case, run: Any) -> str:
    text = (
        gettext(
            "It waits for backfill %(run)s of %(subscriber)s, which is paused: it goes "
            "on after an operator resumes it."
        )
        if run.state == RunState.PAUSED
        else gettext(
            "It waits for backfill %(run)s of %(subscriber)s, which is at %(place)s, "
            "%(count)s before the event."
        )
    )
    return text % {
        "run": run.number,
        "subscriber": case.subscriber,
        "place": place_name(run.position),
        "count": grouped(_ahead(case, run)),
    }


def _ahead(case: Case, run: Any) -> int:
    return distance(run.position, case.position, imported=run.imported)


def _state(run: Any) -> str:
    text = gettext("%(state)s, at %(place)s of %(end)s")
    values = {"state": run.state, "place": place_name(run.position)}
    return text % {**values, "end": grouped(run.end)}


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
