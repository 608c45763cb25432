"""Find what a path names, if the API key of the request is bound to it.

What the key is not bound to is refused in the words of what does not exist: a key does
not learn which other subscribers there are.
"""

from __future__ import annotations

from typing import cast

from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from router.models import ApiKey, Delivery, FailedTask, Subscriber


def find_subscriber(request: Request, name: str) -> Subscriber:
    """The subscriber of this name. Raises `NotFound`."""
    subscriber = Subscriber.objects.known().filter(name=name).first()
    if subscriber is None or not key_of(request).may_touch(name):
        raise NotFound(
            f"This API key reaches no subscriber named {name}. GET /api/subscribers/ "
            "lists those that a key with the scope `manage` reaches."
        )
    return subscriber


def find_delivery(request: Request, delivery_id: int) -> Delivery:
    """The delivery of this id. Raises `NotFound`."""
    rows = Delivery.objects.select_related("subscriber")
    delivery = rows.filter(pk=delivery_id).first()
    if delivery is None or not key_of(request).may_receive(delivery.subscriber):
        raise NotFound(
            f"This API key reaches no delivery {delivery_id}. GET "
            "/api/events/{number}/ lists those of an event."
        )
    return delivery


def find_failed_task(request: Request, task_id: int) -> FailedTask:
    """The failed task of this id. Raises `NotFound`."""
    rows = FailedTask.objects.select_related("subscriber").defer("traceback")
    task = rows.filter(pk=task_id).first()
    if task is None or not key_of(request).may_receive(task.subscriber):
        raise NotFound(
            f"This API key reaches no failed task {task_id}. GET /api/failed-tasks/ "
            "lists them."
        )
    return task


def actor(request: Request) -> str:
    """The name of the API key in the audit."""
    return f"key {key_of(request).name}"


def key_of(request: Request) -> ApiKey:
    """The API key of a request that has passed a permission."""
    return cast(ApiKey, request.auth)
