from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from router.api.bodies import ReasonBody, checked
from router.api.finding import actor
from router.api.permissions import MayManage
from router.api.view import View
from router.flow.interventions import skip
from router.models import Delivery


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
        rows = Delivery.objects.select_related("subscriber")
        delivery = rows.filter(pk=delivery_id).first()
        if delivery is None:
            raise NotFound(f"There is no delivery {delivery_id}.")
        self.check_object_permissions(request, delivery.subscriber.name)
        said = checked(ReasonBody, request)
        failed = skip(delivery.pk, by=actor(request), **said)
        return Response(SkippedSerializer(failed).data)
