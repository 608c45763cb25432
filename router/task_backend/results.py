"""What became of a task, in the terms of Django's tasks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from router.conf import conf
from router.models import (
    Attempt,
    AttemptResult,
    Delivery,
    DeliveryState,
    EventRecord,
)
from router.observe.outcome import Outcome, outcomes_of
from router.task_backend.call import Call
from router.task_backend.framework import AnyResult, TaskError, TaskResultStatus

STATUSES = {
    DeliveryState.PENDING: TaskResultStatus.READY,
    DeliveryState.LEASED: TaskResultStatus.RUNNING,
    DeliveryState.ACKNOWLEDGED: TaskResultStatus.SUCCESSFUL,
    DeliveryState.DEAD: TaskResultStatus.FAILED,
    DeliveryState.CANCELLED: TaskResultStatus.FAILED,
}
#: The router keeps no worker beside an attempt; the length of the list counts attempts.
UNKNOWN_WORKER = "unknown"
#: What has no exception: the lease of a worker that died ran out.
NO_ANSWER = "router.contract.errors.LeaseLost"


class FanfareTaskResult(AnyResult):
    """The result of a task that the router runs: status, attempts and errors."""

    @property
    def return_value(self) -> Any:
        """Raises `NotImplementedError` once the task succeeded: None would be a lie.

        Raises `ValueError` before, and where it failed.
        """
        super().return_value  # noqa: B018 - it raises
        raise NotImplementedError(
            "The router keeps no return values: let the task write what it found where "
            "it belongs."
        )


@dataclass(frozen=True, kw_only=True)
class _Became:
    """What is known of the attempts of a task."""

    status: TaskResultStatus = TaskResultStatus.READY
    started_at: datetime | None = None
    last_attempted_at: datetime | None = None
    finished_at: datetime | None = None
    errors: list[TaskError] = field(default_factory=list)
    worker_ids: list[str] = field(default_factory=list)


def result_of(event: EventRecord) -> FanfareTaskResult:
    """The result of the task that this event is: six statements at most.

    Raises `InvalidTask` where the code has no such task any more.
    """
    rows = Delivery.objects.filter(event=event, subscriber=event.only_for_id)
    found = outcomes_of([event], rows.order_by("run"))
    became = _Became()
    if found.deliveries:
        became = _by_row(found.deliveries[0])
    elif found.by_cursor:
        became = _by_cursor(found.by_cursor[0])
    return result(
        Call.read(event),
        id=event.event_id,
        enqueued_at=event.recorded_at,
        **vars(became),
    )


def result(
    call: Call, *, id: str, enqueued_at: datetime | None, **known: Any
) -> FanfareTaskResult:
    """A result of this call; what is not `known` did not happen yet."""
    return FanfareTaskResult(
        task=call.task(),
        id=id,
        enqueued_at=enqueued_at,
        args=call.args,
        kwargs=call.kwargs,
        backend=call.alias,
        **{**vars(_Became()), **known},
    )


def _by_row(row: Delivery) -> _Became:
    attempts = list(Attempt.objects.filter(delivery=row).order_by("pk"))
    begun = [at for at in map(_began_at, attempts) if at is not None]
    if row.state == DeliveryState.LEASED and row.leased_until:
        begun.append(row.leased_until - timedelta(seconds=conf().lease_seconds))
    status = STATUSES[DeliveryState(row.state)]
    is_over = row.state not in (DeliveryState.PENDING, DeliveryState.LEASED)
    return _Became(
        status=status,
        started_at=begun[0] if begun else None,
        last_attempted_at=begun[-1] if begun else None,
        finished_at=attempts[-1].ended_at if is_over and attempts else None,
        errors=_errors(attempts),
        worker_ids=[UNKNOWN_WORKER] * row.attempts,
    )


def _by_cursor(outcome: Outcome) -> _Became:
    ended_at, run_ms = outcome.acknowledged_at, outcome.run_ms
    began_at = ended_at - timedelta(milliseconds=run_ms or 0) if ended_at else None
    return _Became(
        status=STATUSES[outcome.state],
        started_at=began_at,
        last_attempted_at=began_at,
        finished_at=ended_at,
        worker_ids=[outcome.worker or UNKNOWN_WORKER] * outcome.attempts,
    )


def _began_at(attempt: Attempt) -> datetime | None:
    if attempt.duration_ms is None:
        return None
    return attempt.ended_at - timedelta(milliseconds=attempt.duration_ms)


def _errors(attempts: Sequence[Attempt]) -> list[TaskError]:
    return [
        TaskError(
            exception_class_path=_class_path(attempt),
            traceback=attempt.traceback or attempt.error,
        )
        for attempt in attempts
        if attempt.result != AttemptResult.ACKNOWLEDGED
    ]


def _class_path(attempt: Attempt) -> str:
    """The dotted path of the error's class, as the last line of a traceback has it."""
    if attempt.result == AttemptResult.VANISHED:
        return NO_ANSWER
    kind = re.escape(attempt.error.partition(":")[0])
    paths = re.findall(rf"^([\w.]*\b{kind})(?=:|$)", attempt.traceback, re.MULTILINE)
    path = str(paths[-1]) if paths else attempt.error.partition(":")[0]
    return path if "." in path else f"builtins.{path}"
