"""Pull: consumers come for what they are owed, and settle it by its lease."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from router.api.permissions import MayConsume
from router.api.pulling_bodies import (
    AckBody,
    ExtendBody,
    NackBody,
    PullBody,
    PulledBody,
    ResultsBody,
)
from router.flow import answering
from router.flow.holding import Lease, Refusal
from router.flow.long_poll import pull_patiently
from router.models import ApiKey, Delivery, Subscriber


class PullApi(APIView):
    permission_classes = (MayConsume,)

    @extend_schema(
        operation_id="pull",
        tags=["pull"],
        request=PullBody,
        responses=PulledBody,
    )
    def post(self, request: Request, name: str) -> Response:
        """Lease due deliveries, oldest first.

        409 when the subscriber has another transport.
        """
        body = validated(PullBody, request)
        pulled = pull_patiently(
            _subscriber(request, name).pk,
            most=body["max"],
            lease_seconds=body["lease_seconds"],
            wait_seconds=body["wait_seconds"],
        )
        told = [_told(delivery) for delivery in pulled.deliveries]
        return Response({"state": pulled.state.value, "deliveries": told})


class AckApi(APIView):
    permission_classes = (MayConsume,)

    @extend_schema(
        operation_id="ack",
        tags=["pull"],
        request=AckBody,
        responses=ResultsBody,
    )
    def post(self, request: Request) -> Response:
        """Done. A lost lease is 409 for that entry, the others go through."""
        return _answered(request, validated(AckBody, request), answering.ack)


class NackApi(APIView):
    permission_classes = (MayConsume,)

    @extend_schema(
        operation_id="nack",
        tags=["pull"],
        request=NackBody,
        responses=ResultsBody,
    )
    def post(self, request: Request) -> Response:
        """Not now: a failure, and another attempt later."""
        body = validated(NackBody, request)
        error = body.get("reason", "")
        return _answered(
            request, body, answering.nack, seconds="delay_seconds", error=error
        )


class ReleaseApi(APIView):
    permission_classes = (MayConsume,)

    @extend_schema(
        operation_id="release",
        tags=["pull"],
        request=AckBody,
        responses=ResultsBody,
    )
    def post(self, request: Request) -> Response:
        """Not begun: due again at once, and neither attempt nor failure counts."""
        return _answered(request, validated(AckBody, request), answering.release)


class ExtendApi(APIView):
    permission_classes = (MayConsume,)

    @extend_schema(
        operation_id="extend",
        tags=["pull"],
        request=ExtendBody,
        responses=ResultsBody,
    )
    def post(self, request: Request) -> Response:
        """Still at work: the lease ends so many seconds from now."""
        body = validated(ExtendBody, request)
        return _answered(request, body, answering.extend, seconds="lease_seconds")


def validated(kind: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """The body, checked and with its defaults; raises what becomes a 422."""
    body = kind(data=request.data)
    body.is_valid(raise_exception=True)
    found: dict[str, Any] = body.validated_data
    return found


def _subscriber(request: Request, name: str) -> Subscriber:
    """Of what the key is not bound to, it does not learn whether it exists."""
    found = Subscriber.objects.known().filter(name=name).first()
    if found is None or not _key(request).may_touch(name):
        raise NotFound(f"This API key reaches no subscriber named {name}.")
    return found


def _key(request: Request) -> ApiKey:
    key: Any = request.auth  # `MayConsume` lets nothing else in.
    found: ApiKey = key
    return found


def _told(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.pk,
        "lease_token": str(delivery.lease_token),
        "attempt": delivery.attempts,
        "origin": delivery.origin,
        "position": delivery.event.position,
        "event": delivery.event.to_event().to_cloudevent(),
    }


def _answered(
    request: Request,
    body: dict[str, Any],
    answer: Callable[..., list[Refusal]],
    *,
    seconds: str = "",
    **options: Any,
) -> Response:
    """What came of each entry; `seconds` names the number that goes with its lease."""
    leases = [
        Lease(
            delivery_id=entry["id"],
            token=_token(entry["lease_token"]),
            seconds=entry.get(seconds, body.get(seconds)),
        )
        for entry in body["deliveries"]
    ]
    told = answer(leases, may_touch=_key(request).may_touch, **options)
    return Response({"results": _results(leases, told)})


def _results(
    leases: Sequence[Lease], told: Sequence[Refusal]
) -> list[dict[str, int | str]]:
    return [
        {"id": lease.delivery_id, "status": int(HTTPStatus.OK)}
        if refusal is None
        else {
            "id": lease.delivery_id,
            "status": int(HTTPStatus.CONFLICT),
            "detail": refusal,
        }
        for lease, refusal in zip(leases, told, strict=True)
    ]


def _token(text: str) -> uuid.UUID | None:
    """What is no token of ours at all is a lost lease like any other."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
