"""What a client does to one delivery, or to one event for one subscriber: skip it, send
it again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import actor, find_delivery, find_receiver
from router.api.bodies import ReasonBody, checked
from router.api.view import View
from router.models import DeliveryState, EventRecord, Origin
from router.observe.pruned import hint_of_missing
from router.operate.interventions import skip
from router.operate.resend import resend, resend_event

TAGS = ["deliveries"]


class SkippedSerializer(serializers.Serializer[Any]):
    """The failed task that keeps the event: it can be retried or discarded."""

    failed_task = serializers.IntegerField(source="pk")
    delivery = serializers.IntegerField(source="delivery_id")


class SkipApi(View):
    @extend_schema(
        operation_id="skip_delivery",
        tags=TAGS,
        request=ReasonBody,
        responses=SkippedSerializer,
    )
    def post(self, request: Request, delivery_id: int) -> Response:
        """Give one event up now: a failed task keeps it, the rest goes on.

        409 unless the delivery waits.
        """
        delivery = find_delivery(request, delivery_id)
        body = checked(ReasonBody, request)
        failed = skip(delivery.pk, by=actor(request), **body)
        return Response(SkippedSerializer(failed).data)


class ResentDeliverySerializer(serializers.Serializer[Any]):
    """What is owed now: a new delivery, or the one that was dead."""

    id = serializers.IntegerField()
    event = serializers.IntegerField(source="event_id")
    subscriber = serializers.CharField(source="subscriber.name")
    state = fields.EnumField(DeliveryState)
    origin = fields.EnumField(Origin)
    run = serializers.IntegerField()


class ResendApi(View):
    @extend_schema(
        operation_id="resend_delivery",
        tags=TAGS,
        request=ReasonBody,
        responses={202: ResentDeliverySerializer},
    )
    def post(self, request: Request, delivery_id: int) -> Response:
        """Owe one event to one subscriber once more, due now.

        A delivery that is done is owed anew, and the subscriber gets an event that it
        has had; for one that is dead its failed task is retried.
        """
        delivery = find_delivery(request, delivery_id)
        body = checked(ReasonBody, request)
        owed = resend(delivery.pk, by=actor(request), **body)
        return Response(ResentDeliverySerializer(owed).data, status=HTTPStatus.ACCEPTED)


class ResendEventBody(ReasonBody):
    """The subscriber that gets the event once more."""

    subscriber = fields.CharField(max_length=63, help_text="The subscriber's name.")


class ResendEventApi(View):
    @extend_schema(
        operation_id="resend_event",
        tags=["events"],
        request=ResendEventBody,
        responses={202: ResentDeliverySerializer},
    )
    def post(self, request: Request, number: int) -> Response:
        """Owe one event to one subscriber once more, due now, by a new delivery.

        For events without a delivery too: a handler that is served in the stream has
        none of what it acknowledged. 409 while the event is still owed to the
        subscriber, and where it never was.
        """
        body = checked(ResendEventBody, request)
        subscriber = find_receiver(request, body["subscriber"])
        if not EventRecord.objects.filter(pk=number).exists():
            missing = f"There is no event #{number} in the log."
            raise NotFound(f"{missing} {hint_of_missing(number)}".strip())
        owed = resend_event(
            number, subscriber.pk, by=actor(request), reason=body["reason"]
        )
        return Response(ResentDeliverySerializer(owed).data, status=HTTPStatus.ACCEPTED)
