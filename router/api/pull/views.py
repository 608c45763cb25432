"""Pull: consumers lease their deliveries and settle them by the lease token."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from itertools import zip_longest
from typing import Any

from django.db import DatabaseError, InterfaceError
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from router.api.auth.authentication import refuse_unusable
from router.api.auth.keys import find_subscriber, key_of, refuse_reception
from router.api.auth.permissions import MayConsume
from router.api.bodies import checked
from router.api.pull.serializers import (
    AckBody,
    ExtendBody,
    LeaseResults,
    NackBody,
    PullBody,
    PullResponse,
)
from router.api.view import View
from router.contract.event import Event
from router.flow.lease import Leased
from router.flow.publish.downgrades import as_pinned
from router.flow.pull import settling
from router.flow.pull.holding import Lease, Refusal
from router.flow.pull.leasing import Pulled, pull_or_wait
from router.models import ApiKey, Scope, Subscriber
from router.transports.evidence import evidence_of


class PullApi(View):
    permission_classes = (MayConsume,)

    @extend_schema(
        operation_id="pull",
        tags=["pull"],
        request=PullBody,
        responses=PullResponse,
    )
    def post(self, request: Request, name: str) -> Response:
        """Lease due deliveries, oldest first.

        409 when the subscriber has another transport.
        """
        body = checked(PullBody, request)
        pulled = pull_or_wait(
            _receiver(request, name).pk,
            most=body["max"],
            lease_seconds=body["lease_seconds"],
            wait_seconds=body["wait_seconds"],
            check=partial(_check_again, request, name),
        )
        shown = {
            "state": pulled.state.value,
            "deliveries": list(_handed_out(pulled)),
            "retry_after_seconds": pulled.retry_after_seconds,
        }
        wait = pulled.retry_after_seconds
        return Response(shown, headers={"Retry-After": str(wait)} if wait else None)


class AckApi(View):
    permission_classes = (MayConsume,)

    @extend_schema(
        operation_id="ack",
        tags=["pull"],
        request=AckBody,
        responses=LeaseResults,
    )
    def post(self, request: Request) -> Response:
        """Done. A lost lease is 409 for that entry, the others go through."""
        return _answered(request, settling.ack, checked(AckBody, request))


class NackApi(View):
    permission_classes = (MayConsume,)

    @extend_schema(
        operation_id="nack",
        tags=["pull"],
        request=NackBody,
        responses=LeaseResults,
    )
    def post(self, request: Request) -> Response:
        """Not now: a failure, and another attempt later."""
        body = checked(NackBody, request)
        nack = partial(settling.nack, reason=body.get("reason", ""))
        return _answered(request, nack, body, seconds="delay_seconds")


class ReleaseApi(View):
    permission_classes = (MayConsume,)

    @extend_schema(
        operation_id="release",
        tags=["pull"],
        request=AckBody,
        responses=LeaseResults,
    )
    def post(self, request: Request) -> Response:
        """Not begun: due again at once, and neither attempt nor failure counts."""
        return _answered(request, settling.release, checked(AckBody, request))


class ExtendApi(View):
    permission_classes = (MayConsume,)

    @extend_schema(
        operation_id="extend",
        tags=["pull"],
        request=ExtendBody,
        responses=LeaseResults,
    )
    def post(self, request: Request) -> Response:
        """Still at work: the lease ends so many seconds from now, or at its latest.

        409 for one that was extended for as long as it may be.
        """
        leases = _leases(checked(ExtendBody, request), seconds="lease_seconds")
        outcomes = settling.extend(leases, may_touch=key_of(request).may_receive)
        refused = [refusal for refusal, _ in outcomes]
        return _results(leases, refused, [ends_at for _, ends_at in outcomes])


def _receiver(request: Request, name: str) -> Subscriber:
    """Raises `NotFound`, or `NotBound` where the key may see but not receive for it."""
    subscriber = find_subscriber(request, name)
    refuse_reception(key_of(request), subscriber)
    return subscriber


def _check_again(request: Request, name: str) -> None:
    """Check the key of a pull that waited as it is now, not as it was at the start."""
    key = ApiKey.objects.get(pk=key_of(request).pk)
    refuse_unusable(key)
    request.auth = key
    if Scope.CONSUME not in key.scopes:
        raise PermissionDenied(MayConsume().message)
    _receiver(request, name)


def _handed_out(pulled: Pulled) -> Iterator[dict[str, Any]]:
    """What the puller gets. An event that can't be read, or
    not be had in the version that the subscriber pins, becomes a failed task at once:
    its neighbours are leased already, and must reach the puller."""
    for delivery in pulled.deliveries:
        try:
            event = as_pinned(delivery.to_event(), pulled.pins)
            yield _described(pulled, delivery, event)
        except (DatabaseError, InterfaceError):
            # The schemas could not be read: the leases run out, and it comes again.
            raise
        except Exception as error:  # noqa: BLE001 - the failure of this one alone
            lease = Lease(delivery_id=delivery.pk, token=pulled.lease_token)
            settling.reject(lease, evidence_of(error))


def _described(pulled: Pulled, delivery: Leased, event: Event) -> dict[str, Any]:
    return {
        "id": delivery.pk,
        "lease_token": str(pulled.lease_token),
        "attempt": delivery.attempts,
        "origin": delivery.origin,
        "position": delivery.position,
        "leased_until": pulled.leased_until,
        "event": event.to_cloudevent(),
    }


def _leases(body: dict[str, Any], *, seconds: str = "") -> list[Lease]:
    """The entries; `seconds` names the number that goes with each, or with all."""
    return [
        Lease(
            delivery_id=entry["id"],
            token=_token(entry["lease_token"]),
            seconds=entry.get(seconds, body.get(seconds)),
        )
        for entry in body["deliveries"]
    ]


def _answered(
    request: Request,
    act: Callable[..., list[Refusal]],
    body: dict[str, Any],
    *,
    seconds: str = "",
) -> Response:
    leases = _leases(body, seconds=seconds)
    return _results(leases, act(leases, may_touch=key_of(request).may_receive))


def _results(
    leases: Sequence[Lease],
    refusals: Sequence[Refusal],
    ends: Sequence[datetime | None] = (),
) -> Response:
    """The answer to each entry, in their order."""
    results = zip_longest(leases, refusals, ends)
    return Response({"results": [_result(*result) for result in results]})


def _result(lease: Lease, refusal: Refusal, ends_at: datetime | None) -> dict[str, Any]:
    status = HTTPStatus.OK if refusal is None else HTTPStatus.CONFLICT
    return {
        "id": lease.delivery_id,
        "status": int(status),
        **({"detail": refusal} if refusal else {}),
        **({"leased_until": ends_at} if ends_at else {}),
    }


def _token(text: str) -> uuid.UUID | None:
    """None for a text that is no token: the entry is answered like a lost lease."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
