"""Steps of tests about Django's tasks; their fixtures are here, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.test import override_settings

from router.models import EventRecord, Subscriber
from router.task_backend.running import declare_queues
from router.task_queues import BACKEND
from router.testing import isolated_subscribers, register_declared
from tests.contract import some_tasks

UseTasks = Callable[..., None]


def backend(*queues: str, **options: Any) -> dict[str, Any]:
    return {"BACKEND": BACKEND, "QUEUES": list(queues), "OPTIONS": options}


@contextmanager
def tasks_of(**backends: dict[str, Any]) -> Iterator[None]:
    """These are the backends, and their queues the only subscribers."""
    some_tasks.ran.clear()
    with override_settings(TASKS=backends), isolated_subscribers():
        declare_queues()
        register_declared()
        yield


def subscriber() -> Subscriber:
    return Subscriber.objects.get()


def event() -> EventRecord:
    return EventRecord.objects.get()
