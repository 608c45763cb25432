"""Tasks as a project has them, which note that they ran."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from router.public import Reject, RetryLater
from router.task_backend.framework import TaskContext, task

#: Arguments of each run.
ran: list[Any] = []


@task
def note(*args: Any, **kwargs: Any) -> None:
    ran.append([*args, kwargs] if kwargs else list(args))


@task
def answer() -> int:
    return 42


@task
def fail(text: str) -> None:
    ran.append("fail")
    raise ValueError(text)


@task
def fail_too() -> None:
    raise LookupError("no use")


@task
def reach_nobody() -> None:
    raise ConnectionRefusedError("the mail server is down")


@task
def reject() -> None:
    raise Reject("never")


@task
def ask_for_later() -> None:
    raise RetryLater("busy", after_seconds=1234)


@task(takes_context=True)
def fail_until(context: TaskContext, attempt: int) -> None:
    ran.append((context.attempt, context.task_result.status))
    if context.attempt < attempt:
        raise ValueError(context.attempt)


@task
def make_user(name: str) -> None:
    User.objects.create(username=name)


@task
def make_user_and_fail(name: str) -> None:
    User.objects.create(username=name)
    raise ValueError(name)


@task
def append(path: str, line: str, die_once: str = "") -> None:
    """What another process does: a line in a file; with `die_once` it is killed first,
    the first time."""
    with suppress(FileExistsError):
        if die_once:
            os.close(os.open(die_once, os.O_CREAT | os.O_EXCL))
            os.kill(os.getpid(), signal.SIGKILL)
    with open(path, "a") as file:
        file.write(f"{line}\n")


@task
def hold(began: str, released: str) -> None:
    """Another process is in the middle of it until that file is there."""
    Path(began).touch()
    while not Path(released).exists():
        time.sleep(0.01)


def hidden() -> None:
    """No task of this name."""


another_name = task(hidden)
