from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from router.api.auth.keys import actor, find_delivery
from router.api.auth.permissions import MayManage
from router.api.bodies import ReasonBody, checked
from router.api.view import View
from router.operate.interventions import skip


class SkippedSerializer(serializers.Serializer[Any]):
    """The failed task that keeps the event: it can be retried or discarded."""

    failed_task = serializers.IntegerField(source="pk")
    delivery = serializers.IntegerField(source="delivery_id")


class SkipApi(View):
    permission_classes = (MayManage,)

    @extend_schema(
        operation_id="skip_delivery",
        tags=["deliveries"],
        request=ReasonBody,
        responses=SkippedSerializer,
    )
    def post(self, request: Request, delivery_id: int) -> Response:
        """Give one event up now: a failed task keeps it, the rest goes on.

        409 unless the delivery waits.
        """
        delivery = find_delivery(request, delivery_id)
        said = checked(ReasonBody, request)
        failed = skip(delivery.pk, by=actor(request), **said)
        return Response(SkippedSerializer(failed).data)
