"""Pull: lease what is owed, then acknowledge it, hand it back, or hold it longer."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from router.api.finding import find_subscriber, key_of
from router.api.long_polls import pull_patiently
from router.api.permissions import MayConsume
from router.api.pull_shapes import (
    EntriesSerializer,
    ExtendSerializer,
    NackSerializer,
    PulledSerializer,
    PullSerializer,
    ResultsSerializer,
)
from router.contract.errors import NotPulled
from router.flow.claiming import Claim
from router.flow.handing_back import Answer, ack, extend, nack
from router.models import Delivery, Subscriber, Transport

TAGS = ["pull"]


class PullApi(APIView):
    permission_classes = (MayConsume,)

    @extend_schema(
        operation_id="pull",
        tags=TAGS,
        request=PullSerializer,
        responses=PulledSerializer,
    )
    def post(self, request: Request, name: str) -> Response:
        """Lease the next deliveries; with `wait_seconds` wait until there are some."""
        row = find_subscriber(self, name)
        if row.transport != Transport.PULL:
            raise NotPulled
        said = PullSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        asked = said.validated_data
        claim = pull_patiently(
            row,
            most=asked["max"],
            lease_seconds=asked["lease_seconds"],
            wait_seconds=asked["wait_seconds"],
        )
        state = Subscriber.objects.values_list("state", flat=True).get(pk=row.pk)
        return Response({"deliveries": _pulled(claim), "state": state})


class AckApi(APIView):
    permission_classes = (MayConsume,)

    @extend_schema(
        operation_id="ack",
        tags=TAGS,
        request=EntriesSerializer,
        responses=ResultsSerializer,
    )
    def post(self, request: Request) -> Response:
        """These are done: nobody gets them again."""
        said = EntriesSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        may_touch = key_of(request).may_touch
        return _results(ack(said.entries(), may_touch=may_touch))


class NackApi(APIView):
    permission_classes = (MayConsume,)

    @extend_schema(
        operation_id="nack",
        tags=TAGS,
        request=NackSerializer,
        responses=ResultsSerializer,
    )
    def post(self, request: Request) -> Response:
        """Not now: they come again, and at the last failure a person is told."""
        said = NackSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        told = said.validated_data
        answers = nack(
            said.entries(),
            may_touch=key_of(request).may_touch,
            delay_seconds=told.get("delay_seconds"),
            reason=told["reason"],
            has_begun=told["has_begun"],
        )
        return _results(answers)


class ExtendApi(APIView):
    permission_classes = (MayConsume,)

    @extend_schema(
        operation_id="extend",
        tags=TAGS,
        request=ExtendSerializer,
        responses=ResultsSerializer,
    )
    def post(self, request: Request) -> Response:
        """Hold them for `lease_seconds` from now."""
        said = ExtendSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        answers = extend(
            said.entries(),
            may_touch=key_of(request).may_touch,
            lease_seconds=said.validated_data["lease_seconds"],
        )
        return _results(answers)


def _pulled(claim: Claim | None) -> list[dict[str, Any]]:
    return [_shown(claim, one) for one in claim.deliveries] if claim else []


def _shown(claim: Claim, delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.pk,
        "lease_token": str(claim.token),
        "attempt": delivery.attempts,
        "origin": delivery.origin,
        "position": delivery.event.position,
        "leased_until": delivery.leased_until,
        "event": delivery.event.to_event().to_cloudevent(),
    }


def _results(answers: list[Answer]) -> Response:
    return Response({"results": [_result(one) for one in answers]})


def _result(answer: Answer) -> dict[str, Any]:
    status = HTTPStatus.CONFLICT if answer.refusal else HTTPStatus.OK
    shown: dict[str, Any] = {"id": answer.delivery_id, "status": int(status)}
    if answer.refusal:
        shown["detail"] = answer.refusal
    if answer.leased_until:
        shown["leased_until"] = answer.leased_until
    return shown
