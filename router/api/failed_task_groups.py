"""Failed tasks by their cause: list."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import key_of, receivers_of
from router.api.auth.permissions import MayManage
from router.api.http.query_params import QuerySerializer
from router.api.view import View
from router.observe.causes import open_causes

TAGS = ["failed tasks"]


class CauseSerializer(serializers.Serializer[Any]):
    """The open failed tasks of a subscriber that have one cause; `sample` is the newest
    of them, and `error` what its receiver said."""

    id = serializers.IntegerField(source="group.pk")
    subscriber = serializers.CharField(source="group.subscriber.name")
    error = serializers.CharField(source="words")
    open_count = serializers.IntegerField()
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    sample = serializers.IntegerField(source="sample.pk")
    #: Of each of the last 24 hours, the present one last.
    opened_by_hour = serializers.ListField(
        child=serializers.IntegerField(), source="trend"
    )


class CausesSerializer(serializers.Serializer[Any]):
    results = CauseSerializer(many=True)


class CausesQuerySerializer(QuerySerializer):
    subscriber = fields.CharField(required=False, max_length=63)


class FailedTaskGroupsApi(View):
    permission_classes = (MayManage,)
    queries = {"GET": CausesQuerySerializer}

    @extend_schema(
        operation_id="list_failed_task_groups",
        tags=TAGS,
        parameters=[CausesQuerySerializer],
        responses=CausesSerializer,
    )
    def get(self, request: Request) -> Response:
        """The causes of what is open for the key's subscribers, the one with most
        failed tasks first, at most 100."""
        among = receivers_of(key_of(request))
        if "subscriber" in self.asked:
            among &= Q(subscriber__name=self.asked["subscriber"])
        causes = open_causes(among)
        return Response({"results": CauseSerializer(causes, many=True).data})
