"""Messages that a bridge took and that are no valid event: list, discard."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import actor, key_of
from router.api.bodies import checked
from router.api.failed_tasks import NoteBody
from router.api.http.pagination import CursorPages
from router.api.http.query_params import QuerySerializer
from router.api.view import View
from router.models import IngressFailedTask, IngressState
from router.operate.ingress import discard_ingress

TAGS = ["failed tasks"]


class IngressFailedTaskSerializer(serializers.Serializer[Any]):
    """A message of a bridge that is no valid event; its bytes are in the admin."""

    id = serializers.IntegerField()
    bridge = serializers.CharField()
    message_id = serializers.CharField()
    name = serializers.CharField()
    content_type = serializers.CharField()
    problem = serializers.CharField()
    state = fields.EnumField(IngressState)
    event = serializers.IntegerField(source="event_id", allow_null=True)
    opened_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)
    settled_by = serializers.CharField()
    note = serializers.CharField(source="settled_note")


class IngressFailedTaskQuerySerializer(QuerySerializer):
    state = fields.EnumField(IngressState, required=False)
    bridge = fields.CharField(required=False, max_length=63)


class IngressFailedTasksApi(View, ListAPIView[IngressFailedTask]):
    serializer_class = IngressFailedTaskSerializer
    pagination_class = CursorPages
    queries = {"GET": IngressFailedTaskQuerySerializer}

    def get_queryset(self) -> QuerySet[IngressFailedTask]:
        return reached(self.request).filter(**self.asked).defer("body", "attributes")

    @extend_schema(
        operation_id="list_ingress_failed_tasks",
        tags=TAGS,
        parameters=[IngressFailedTaskQuerySerializer],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What bridges could not publish, the newest first; none for a bound key."""
        return super().get(request, *args, **kwargs)


class DiscardIngressFailedTaskApi(View):
    @extend_schema(
        operation_id="discard_ingress_failed_task",
        tags=TAGS,
        request=NoteBody,
        responses=IngressFailedTaskSerializer,
    )
    def post(self, request: Request, task_id: int) -> Response:
        """Never make an event of this message; its bytes are kept."""
        rows = reached(request).filter(pk=task_id).defer("body", "attributes")
        body = checked(NoteBody, request)
        if not rows.exists():
            raise NotFound(
                f"This API key reaches no ingress failed task {task_id}. GET "
                "/api/ingress-failed-tasks/ lists them."
            )
        discard_ingress(task_id, by=actor(request), **body)
        return Response(IngressFailedTaskSerializer(rows.get()).data)


def reached(request: Request) -> QuerySet[IngressFailedTask]:
    """All of them for a key that is bound to nothing, else none: a message has no
    source and type to compare with those of the key."""
    rows = IngressFailedTask.objects.all()
    return rows.none() if key_of(request).is_bound else rows
