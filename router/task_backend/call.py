"""A call of a task, as its event has it: the task in its type, the rest in its data.

What an operator corrects is the data: a failed task stays the same task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.utils.module_loading import import_string

from router.contract.event import Event
from router.flow.publish.own_events import TASKS
from router.models import NOT_BEFORE, EventRecord
from router.task_backend.framework import AnyTask, InvalidTask, Task, normalize_json


@dataclass(frozen=True, kw_only=True)
class Call:
    """Which task, on which queue, with which arguments; these are values of JSON."""

    path: str
    alias: str
    queue: str
    args: list[Any]
    kwargs: dict[str, Any]
    #: No worker begins it before.
    run_after: datetime | None = None

    @classmethod
    def of(cls, task: AnyTask, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Self:
        """Raises `InvalidTask` where a worker would not find the task by its path, and
        `TypeError` or `ValueError` for an argument that JSON does not have."""
        path = task.module_path
        if task_at(path).func != task.func:
            raise InvalidTask(f"{path} is another task: name it as its function.")
        values: Any = normalize_json({"args": list(args), "kwargs": dict(kwargs)})
        return cls(
            path=path,
            alias=task.backend,
            queue=task.queue_name,
            args=values["args"],
            kwargs=values["kwargs"],
            run_after=task.run_after,
        )

    @classmethod
    def read(cls, event: Event | EventRecord) -> Self:
        """The call that an event is."""
        data = event.data if isinstance(event, Event) else event.json_data()
        run_after = data.get("run_after")
        return cls(
            path=event.type.removeprefix(TASKS),
            alias=data["backend"],
            queue=data["queue"],
            args=data["args"],
            kwargs=data["kwargs"],
            run_after=datetime.fromisoformat(run_after) if run_after else None,
        )

    @property
    def type(self) -> str:
        """The type of its event."""
        return f"{TASKS}{self.path}"

    def data(self) -> dict[str, Any]:
        """The data of its event."""
        return {
            "backend": self.alias,
            "queue": self.queue,
            "args": self.args,
            "kwargs": self.kwargs,
            **self.extensions(named="run_after"),
        }

    def extensions(self, *, named: str = NOT_BEFORE) -> dict[str, str]:
        """When it may run first, by this name; nothing where that is now."""
        return {named: self.run_after.isoformat()} if self.run_after else {}

    def task(self) -> AnyTask:
        """The task as it was enqueued. Raises `InvalidTask` without one here."""
        return task_at(self.path).using(
            backend=self.alias, queue_name=self.queue, run_after=self.run_after
        )


def task_at(path: str) -> AnyTask:
    """The task of this dotted path. Raises `InvalidTask` where there is none."""
    try:
        found = import_string(path)
    except ImportError as error:
        raise InvalidTask(f"There is no task {path} here: {error}") from error
    if not isinstance(found, Task):
        raise InvalidTask(f"{path} is no task: decorate the function with @task.")
    return found
