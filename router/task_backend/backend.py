"""Writes a task as an event, and reads what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, cast

from router.conf import conf
from router.flow.publish.own_events import TASKS
from router.flow.publish.publishing import publish_notice
from router.models import EventRecord, Subscriber
from router.task_backend.call import Call
from router.task_backend.framework import (
    AnyResult,
    BaseTaskBackend,
    InvalidTask,
    Task,
    TaskResult,
    TaskResultDoesNotExist,
    task_enqueued,
)
from router.task_backend.results import result, result_of
from router.task_queues import subscriber_name

P = ParamSpec("P")
R = TypeVar("R")


class FanfareBackend(BaseTaskBackend):
    """Runs tasks by the router: `settings.TASKS` names it."""

    supports_get_result = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        # A cursor of the stream passes its events in their order.
        self.supports_defer = not self.options.get("is_transactional", False)

    def enqueue(
        self, task: Task[P, R], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> TaskResult[P, R]:
        """Record the task in the caller's transaction: a rollback takes it away too.

        Two statements, and no word to the broker. Raises `InvalidTask`, `TypeError` or
        `ValueError` for an argument that JSON does not have, and what `publish` raises.
        """
        self.validate_task(task)
        call = Call.of(task, args, kwargs)
        sent = publish_notice(
            call.type,
            call.data(),
            extensions=call.extensions(),
            only_for=self._subscriber_of(call),
        )
        enqueued = result(call, id=sent.event.id, enqueued_at=sent.event.time)
        task_enqueued.send(type(self), task_result=enqueued)
        return cast("TaskResult[P, R]", enqueued)

    def get_result(self, result_id: str) -> AnyResult:
        """Raises `TaskResultDoesNotExist` for an id that is unknown or was pruned."""
        event = EventRecord.objects.filter(
            source=conf().own_source, event_id=result_id, type__startswith=TASKS
        ).first()
        if event is None:
            raise TaskResultDoesNotExist(result_id)
        return result_of(event)

    def _subscriber_of(self, call: Call) -> int:
        name = subscriber_name(self.alias, call.queue)
        known = Subscriber.objects.known().filter(name=name)
        pk: int | None = known.values_list("pk", flat=True).first()
        if pk is None:
            raise InvalidTask(
                f"The queue {call.queue!r} has no subscriber {name} yet: run "
                "`manage.py migrate`, or start `manage.py dispatch`."
            )
        return pk
