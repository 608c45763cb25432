"""Declares the subscribers of the queues, and runs a task that one of them is owed."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from router.contract.event import Event
from router.flow.publish.own_events import TASKS
from router.models import EventRecord
from router.registry import subscriber
from router.task_backend.backend import FanfareBackend
from router.task_backend.call import Call
from router.task_backend.framework import (
    AnyResult,
    TaskContext,
    TaskResultStatus,
    task_finished,
    task_started,
)
from router.task_backend.results import result, result_of
from router.task_queues import task_queues


def declare_queues() -> None:
    """Declare the subscriber of each queue of `settings.TASKS` that is the router's."""
    for queue in task_queues():
        declare: Callable[..., Any] = subscriber(
            queue.subscriber,
            events=[f"{TASKS}*"],
            title=f"Tasks: {queue.name}",
            fails_by_type=True,
            **queue.options.model_dump(),
        )
        declare(run_task)


def run_task(event: Event) -> None:
    """Call the task that this event is.

    What it raises is raised, and the event is retried. Raises `InvalidTask` where the
    code here has no such task: a later release may.
    """
    call = Call.read(event)
    running = _running(event, call)
    task_started.send(FanfareBackend, task_result=running)
    context: list[Any] = (
        [TaskContext(task_result=running)] if running.task.takes_context else []
    )
    running.task.call(*context, *call.args, **call.kwargs)
    transaction.on_commit(partial(_finish, running), robust=True)


def _running(event: Event, call: Call) -> AnyResult:
    """Its result by now; of a task that takes no context without its past."""
    if call.task().takes_context:
        rows = EventRecord.objects.filter(source=event.source, event_id=event.id)
        if row := rows.first():
            return result_of(row)
    now = timezone.now()
    running: AnyResult = result(
        call,
        id=event.id,
        enqueued_at=event.time,
        status=TaskResultStatus.RUNNING,
        started_at=now,
        last_attempted_at=now,
        worker_ids=[socket.gethostname()],
    )
    return running


def _finish(running: AnyResult) -> None:
    """Signals the success; a task that is given up opens a failed task instead."""
    for name, value in {
        "status": TaskResultStatus.SUCCESSFUL,
        "finished_at": timezone.now(),
    }.items():
        # As Django's own backends do: a result is frozen for its readers.
        object.__setattr__(running, name, value)
    task_finished.send(FanfareBackend, task_result=running)
