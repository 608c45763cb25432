"""The queues of `settings.TASKS` that this router runs; each is a subscriber.

It needs neither Django's tasks nor their backport: a check says where both are missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from router.registry import NAME

#: What `settings.TASKS` names.
BACKEND = "router.task_backend.FanfareBackend"
DEFAULT = "default"


class TaskOptions(BaseModel):
    """`OPTIONS` of the backend: those of `@subscriber`, for each of its queues."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Most tasks send something: they run one by one, outside of any transaction.
    is_transactional: bool = False
    is_safe_concurrently: bool = False
    #: Class of work.
    queue: Literal["default", "slow"] = "default"
    time_limit_seconds: float | None = Field(None, gt=0)
    retry_first_seconds: int | None = Field(None, ge=1)
    retry_maximum_seconds: int | None = Field(None, ge=1)
    max_failures: int | None = Field(None, ge=1, le=100)


@dataclass(frozen=True, kw_only=True)
class TaskQueue:
    """A queue of a backend, and the subscriber that its tasks are owed to."""

    #: Of the backend in `settings.TASKS`.
    alias: str
    name: str
    options: TaskOptions

    @property
    def subscriber(self) -> str:
        return subscriber_name(self.alias, self.name)


def has_framework() -> bool:
    """Whether Django has tasks, or their backport is installed."""
    return any(map(find_spec, ("django.tasks", "django_tasks")))


def subscriber_name(alias: str, queue: str) -> str:
    """The name of the subscriber of a queue, such as `tasks_mail`."""
    parts = ["tasks", *([alias] if alias != DEFAULT else []), queue]
    return re.sub(r"\W", "_", "_".join(parts), flags=re.ASCII).lower()


def task_queues() -> Iterator[TaskQueue]:
    """Every queue of the router's backends, but for those with wrong settings."""
    for alias, params in _backends().items():
        if not any(problems_of(alias, params)):
            options = TaskOptions.model_validate(params.get("OPTIONS", {}))
            for name in _names(params):
                yield TaskQueue(alias=alias, name=name, options=options)


def queue_problems() -> Iterator[tuple[str, str]]:
    """Each alias of `settings.TASKS` with wrong settings, and what is wrong."""
    backends, owners = _backends(), dict[str, str]()
    for alias, params in backends.items():
        for problem in problems_of(alias, params):
            yield alias, problem
        for name in _names(params):
            subscriber = subscriber_name(alias, name)
            place = f"the queue {name!r} of {alias}"
            if other := owners.get(subscriber):
                yield alias, f"{place} and {other} share the subscriber {subscriber}"
            owners[subscriber] = place


def problems_of(alias: str, params: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with one backend's settings."""
    names = _names(params)
    if not names:
        yield "QUEUES is empty: name each queue"
    for name in names:
        if not NAME.fullmatch(subscriber_name(alias, name)):
            yield f"the queue {name!r} makes a subscriber's name longer than 63 letters"
    try:
        TaskOptions.model_validate(params.get("OPTIONS", {}))
    except ValidationError as error:
        for problem in error.errors(include_input=False):
            place = ".".join(str(part) for part in problem["loc"])
            yield f"OPTIONS {place}: {problem['msg']}"


def names_backend() -> bool:
    """Whether `settings.TASKS` names this router."""
    return bool(_backends())


def _backends() -> dict[str, Mapping[str, Any]]:
    """Alias → settings, of the backends that are this router."""
    tasks: Mapping[str, Mapping[str, Any]] = getattr(settings, "TASKS", {})
    return {
        alias: params
        for alias, params in tasks.items()
        if params.get("BACKEND") == BACKEND
    }


def _names(params: Mapping[str, Any]) -> list[str]:
    return sorted(set(params.get("QUEUES", [DEFAULT])))
