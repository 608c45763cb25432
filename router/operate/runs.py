"""Backfills and replays: begun, paused, resumed, throttled and cancelled by people.

A run is begun under the head's lock: retention sees its cursor, or the run sees what
retention has deleted.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from router.contract.errors import DoesNotApply, InvalidRun, NotConfirmed, named
from router.flow import audit
from router.flow.cursor import turn
from router.flow.cursor.runs import end_runs, open_run
from router.flow.route.head import lock_head
from router.models import (
    Cursor,
    Delivery,
    Run,
    RunState,
    Subscriber,
    Turn,
)
from router.operate.run_request import (
    RunRequest,
    needs_confirmation,
    plan_of,
    rate_problems,
)


@transaction.atomic
def begin_run(
    subscriber: Subscriber,
    request: RunRequest,
    *,
    by: str,
    reason: str = "",
    is_confirmed: bool = False,
) -> Run:
    """Begin a backfill or a replay.

    Raises `InvalidRun` naming each option that is wrong, `DoesNotApply`, and
    `NotConfirmed` for a replay to a handler that is not idempotent, unless
    `is_confirmed`.
    """
    head = lock_head()
    known = Subscriber.objects.known().filter(pk=subscriber.pk).first()
    if known is None:
        raise DoesNotApply(
            gettext("%(subscriber)s was deleted: it gets no events.")
            % {"subscriber": subscriber.name}
        )
    plan = plan_of(known, request, head)
    if needs_confirmation(known, request) and not is_confirmed:
        raise NotConfirmed(
            gettext(
                "The handler %(handler)s does not say that it is idempotent: it "
                "may do its work once more for events that it has had. Confirm "
                "that this is wanted, or declare it with `is_idempotent=True` "
                "once it is true."
            )
            % {"handler": known.name}
        )
    run = open_run(known, reason=reason[:1000], requested_by=by[:200], **asdict(plan))
    detail = f"{run.kind} of positions {run.start + 1} to {run.end}"
    _note("begun", run, by=by, reason=reason, detail=detail)
    return run


@transaction.atomic
def pause_run(run_id: int, *, by: str, reason: str = "") -> None:
    """Give nothing more of it until it is resumed; deliveries that are made already go
    on. Raises `DoesNotApply`."""
    run = _locked(run_id)
    if run.state != RunState.ACTIVE:
        raise DoesNotApply(
            gettext("The run is %(state)s: only an active one can be paused.")
            % {"state": run.state}
        )
    Run.objects.filter(pk=run_id).update(state=RunState.PAUSED)
    _note("paused", run, by=by, reason=reason)


@transaction.atomic
def resume_run(run_id: int, *, by: str, reason: str = "") -> None:
    """Go on with a run that was paused. Raises `DoesNotApply`."""
    run = _locked(run_id)
    if run.state != RunState.PAUSED:
        text = (
            gettext("The run is %(state)s: only a paused one can be resumed.")
            if run.is_open
            else gettext(
                "The run is %(state)s: only a paused one can be resumed. Begin another "
                "one."
            )
        )
        raise DoesNotApply(text % {"state": run.state})
    Run.objects.filter(pk=run_id).update(state=RunState.ACTIVE, next_at=None)
    _note("resumed", run, by=by, reason=reason)


@transaction.atomic
def set_rate(run_id: int, rate: float | None, *, by: str, reason: str = "") -> None:
    """Give at most so many events each second from now on; None: no limit.

    Raises `InvalidRun` or `DoesNotApply`.
    """
    if problems := list(rate_problems(rate)):
        raise InvalidRun(f"This is not valid: {named(problems)}.", problems=problems)
    run = _locked(run_id)
    _refuse_over(run)
    Run.objects.filter(pk=run_id).update(rate_per_second=rate, next_at=None)
    changes = {"rate_per_second": (run.rate_per_second, rate)}
    _note("rate_changed", run, by=by, reason=reason, changes=changes)


@transaction.atomic
def cancel_run(run_id: int, *, by: str, reason: str = "") -> None:
    """End the run, and cancel its open deliveries; a chunk of it that runs meanwhile
    rolls back. What it gave stays given. Raises `DoesNotApply`."""
    run = Run.objects.get(pk=run_id)
    # Held to the end: no chunk of it is claimed meanwhile.
    turns = Turn.objects.filter(pk=run.subscriber_id)
    list(turns.select_for_update().values_list("pk"))
    turns.filter(run=run.number).update(**turn.FREE)
    # A dispatcher that makes its deliveries holds it.
    cursors = Cursor.objects.filter(subscriber=run.subscriber_id, run=run.number)
    [position] = cursors.select_for_update().values_list("position", flat=True)
    run = _locked(run_id)
    _refuse_over(run)
    end_runs(Run.objects.filter(pk=run_id), RunState.CANCELLED)
    rows = Delivery.objects.filter(subscriber=run.subscriber_id, run=run.number).open()
    locked = rows.select_for_update(of=("self",)).order_by("pk")
    ids = list(locked.values_list("pk", flat=True))
    count = Delivery.objects.filter(pk__in_array=ids).cancel()
    detail = f"at position {position}; {count} deliveries were cancelled"
    _note("cancelled", run, by=by, reason=reason, detail=detail)


def _locked(run_id: int) -> Run:
    run: Run = (
        Run.objects.select_for_update(of=("self",))
        .select_related("subscriber")
        .defer("subscriber__custom_headers")
        .get(pk=run_id)
    )
    return run


def _refuse_over(run: Run) -> None:
    if not run.is_open:
        raise DoesNotApply(
            gettext("The run is %(state)s already.") % {"state": run.state}
        )


def _note(action: str, run: Run, *, by: str, reason: str, **options: Any) -> None:
    audit.note(f"run.{action}", run, by=by, reason=reason, **options)
