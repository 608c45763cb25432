"""Failed tasks: list, retry, discard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import (
    actor,
    find_failed_task,
    find_receiver,
    key_of,
    receivers_of,
)
from router.api.bodies import Body, checked
from router.api.http.pagination import CursorPages
from router.api.http.query_params import QuerySerializer
from router.api.view import View
from router.contract.errors import NotOpen
from router.models import FailedTask, FailedTaskState, Reason
from router.operate.failed_tasks import Settled, discard, restore, retry
from router.operate.substitutes import Act, edit_and_retry, redirect

TAGS = ["failed tasks"]


class FailedTaskSerializer(serializers.Serializer[Any]):
    """A delivery that the router gave up on; `event` is the event's number."""

    id = serializers.IntegerField()
    subscriber = serializers.CharField(source="subscriber.name")
    event = serializers.IntegerField(source="event_id")
    delivery = serializers.IntegerField(source="delivery_id")
    reason = fields.EnumField(Reason, component="FailedTaskReason")
    error = serializers.CharField()
    attempts = serializers.IntegerField()
    state = fields.EnumField(FailedTaskState)
    opened_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)
    settled_by = serializers.CharField(source="settled_by_name")
    note = serializers.CharField(source="settled_note")
    notes = serializers.CharField()
    assignee = serializers.CharField()
    #: The delivery that took the place of its own.
    successor = serializers.IntegerField(source="successor_id", allow_null=True)


class FailedTaskQuerySerializer(QuerySerializer):
    state = fields.EnumField(FailedTaskState, required=False)
    subscriber = fields.CharField(required=False, max_length=63)


class NoteBody(Body):
    """Why: kept with the failed task, and in the audit."""

    note = fields.CharField(max_length=1000, default="", allow_blank=True)


class FailedTasksApi(View, ListAPIView[FailedTask]):
    serializer_class = FailedTaskSerializer
    pagination_class = CursorPages
    queries = {"GET": FailedTaskQuerySerializer}

    def get_queryset(self) -> QuerySet[FailedTask]:
        names = {"subscriber": "subscriber__name"}
        asked = {names.get(name, name): value for name, value in self.asked.items()}
        visible = receivers_of(key_of(self.request))
        rows = FailedTask.objects.filter(visible, **asked)
        return rows.select_related("subscriber").defer("traceback")

    @extend_schema(
        operation_id="list_failed_tasks",
        tags=TAGS,
        parameters=[FailedTaskQuerySerializer],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What the router gave up on for the key's subscribers, the newest first."""
        return super().get(request, *args, **kwargs)


class RetryFailedTaskApi(View):
    @extend_schema(
        operation_id="retry_failed_task",
        tags=TAGS,
        request=NoteBody,
        responses=FailedTaskSerializer,
    )
    def post(self, request: Request, task_id: int) -> Response:
        """Owe its delivery again, due now; its failures count from zero."""
        return _settle(request, task_id, retry)


class DiscardFailedTaskApi(View):
    @extend_schema(
        operation_id="discard_failed_task",
        tags=TAGS,
        request=NoteBody,
        responses=FailedTaskSerializer,
    )
    def post(self, request: Request, task_id: int) -> Response:
        """Cancel its delivery: the subscriber never gets this event."""
        return _settle(request, task_id, discard)


class EditBody(NoteBody):
    """The whole data of the corrected event."""

    data = fields.JSONField()  # type: ignore[assignment]  # no attribute of the class


class EditFailedTaskApi(View):
    @extend_schema(
        operation_id="edit_and_retry_failed_task",
        tags=TAGS,
        request=EditBody,
        responses=FailedTaskSerializer,
    )
    def post(self, request: Request, task_id: int) -> Response:
        """Owe the subscriber an event with other data in place of this one.

        It is an event of its own, for this subscriber alone, with the extension
        `derivedfrom`. It goes out after ten seconds; `restore` takes it back until
        then. 422 where the data does not fit its schema.
        """
        task = find_failed_task(request, task_id)
        body = checked(EditBody, request)
        act = Act(by=actor(request), note=body["note"])
        edit_and_retry(task.pk, body["data"], act)
        return Response(FailedTaskSerializer(find_failed_task(request, task_id)).data)


class RedirectBody(NoteBody):
    """The subscriber that gets the event instead."""

    subscriber = fields.CharField(max_length=63, help_text="The subscriber's name.")


class RedirectFailedTaskApi(View):
    @extend_schema(
        operation_id="redirect_failed_task",
        tags=TAGS,
        request=RedirectBody,
        responses=FailedTaskSerializer,
    )
    def post(self, request: Request, task_id: int) -> Response:
        """Owe the event to another subscriber instead.

        It goes out after ten seconds; `restore` takes it back until then. 409 where
        that subscriber is owed the event itself, or had it.
        """
        task = find_failed_task(request, task_id)
        body = checked(RedirectBody, request)
        to = find_receiver(request, body["subscriber"])
        redirect(task.pk, to, Act(by=actor(request), note=body["note"]))
        return Response(FailedTaskSerializer(find_failed_task(request, task_id)).data)


class RestoreFailedTaskApi(View):
    @extend_schema(
        operation_id="restore_failed_task",
        tags=TAGS,
        request=NoteBody,
        responses=FailedTaskSerializer,
    )
    def post(self, request: Request, task_id: int) -> Response:
        """Open it again: it was discarded, or no worker has begun what it was retried,
        edited or redirected for."""
        task = find_failed_task(request, task_id)
        restore(task.pk, by=actor(request), **checked(NoteBody, request))
        return Response(FailedTaskSerializer(find_failed_task(request, task_id)).data)


def _settle(request: Request, task_id: int, act: Callable[..., Settled]) -> Response:
    task = find_failed_task(request, task_id)
    body = checked(NoteBody, request)
    settled = act([task.pk], by=actor(request), **body)
    for _, why in settled.refused:
        raise NotOpen(why)
    return Response(FailedTaskSerializer(find_failed_task(request, task_id)).data)
