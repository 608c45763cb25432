"""Wrong settings of Django's tasks, where the router is to run them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, register

from router.task_queues import has_framework, names_backend, queue_problems


@register("router")
def check_tasks(**_: Any) -> list[CheckMessage]:
    return [*_check_queues(), *_check_framework()]


def _check_queues() -> Iterator[CheckMessage]:
    for alias, problem in queue_problems():
        yield Error(
            f"TASKS[{alias!r}]: {problem}.",
            hint="Correct it: docs/tasks.md has what may stand there.",
            id="router.E042",
        )


def _check_framework() -> Iterator[CheckMessage]:
    if names_backend() and not has_framework():
        yield Error(
            "TASKS names the router's backend, but this Django has no tasks.",
            hint="Install the backport: pip install 'django-fanfare[tasks]', and add "
            "django_tasks to INSTALLED_APPS; or take Django 6.",
            id="router.E043",
        )
