"""Sets the failpoints into the router from outside: the product has no hooks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from celery.signals import task_postrun

from router import tasks
from router.flow import loop
from router.flow.bridge import intake
from router.flow.bridge import loop as bridge_loop
from router.flow.deliver import claiming, delivering, stream
from router.flow.dispatch import dispatcher
from tests.chaos.project.failpoints import reached

#: Module, function after whose return the process may die, name of the failpoint.
AFTER: list[tuple[Any, str, str]] = [
    (loop, "route_batch", "dispatcher-after-routing"),
    (dispatcher, "mark_chunks", "dispatcher-after-mark"),
    (claiming, "claim", "worker-after-claim"),
    (delivering, "acknowledge", "worker-before-commit"),
    (tasks, "deliver_chunk", "worker-after-commit"),
    (stream, "next_chunk", "worker-after-claim"),
    (stream, "acknowledge_chunk", "worker-before-commit"),
    (stream, "set_aside", "worker-after-commit"),
    (tasks, "serve", "worker-after-commit"),
    (intake, "arguments_of", "bridge-before-commit"),
    (bridge_loop, "take_in", "bridge-before-ack"),
]


def install() -> None:
    for module, function, name in AFTER:
        setattr(module, function, _dying_after(getattr(module, function), name))
    task_postrun.connect(_before_ack, dispatch_uid="chaos.before_ack")


def _dying_after(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(function)
    def wrapped(*args: Any, **options: Any) -> Any:
        result = function(*args, **options)
        reached(name)
        return result

    return wrapped


def _before_ack(**_: Any) -> None:
    reached("worker-before-ack")
