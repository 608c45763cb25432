"""What a person or a program does to a subscriber: one call for each act."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import actor, find_subscriber, key_of
from router.api.auth.permissions import MayManage
from router.api.bodies import ReasonBody, checked
from router.api.events.publish import refuse_change
from router.api.subscribers.serializers import SubscriberSerializer
from router.api.view import View
from router.flow.breaker.held import held_because
from router.operate.declared import pause, resume
from router.operate.interventions import close_breaker, try_now
from router.operate.secrets import MAX_OVERLAP_SECONDS, rotate_secret
from router.operate.test_event import send_test_event

TAGS = ["subscribers"]


class RotateSecretBody(ReasonBody):
    """How long the secrets before it go on signing."""

    overlap_seconds = fields.IntegerField(
        required=False,
        min_value=0,
        max_value=MAX_OVERLAP_SECONDS,
        help_text="How long the present secret goes on signing; 0 ends it at once.",
    )
    end_old_secrets = fields.BooleanField(
        default=False,
        help_text="End those that an earlier rotation promised to keep, too.",
    )


class RotatedSecretSerializer(serializers.Serializer[Any]):
    """The new secret, shown this once; receivers take both until the old expire."""

    secret = serializers.CharField()
    old_expire_at = serializers.DateTimeField(allow_null=True)


class TestEventSerializer(serializers.Serializer[Any]):
    """The test event's number in the log."""

    number = serializers.IntegerField()
    held_because = serializers.CharField(
        allow_null=True, help_text="Why it waits; null where it goes out now."
    )


def _act(operation_id: str, act: Callable[..., Any], description: str) -> type[View]:
    """The call that does `act`, with a reason, and answers with the subscriber."""

    class ActApi(View):
        permission_classes = (MayManage,)

        @extend_schema(
            operation_id=operation_id,
            description=description,
            tags=TAGS,
            request=ReasonBody,
            responses=SubscriberSerializer,
        )
        def post(self, request: Request, name: str) -> Response:
            row = find_subscriber(request, name)
            act(row.pk, by=actor(request), **checked(ReasonBody, request))
            row.refresh_from_db()
            return Response(SubscriberSerializer(row).data)

    return ActApi


PauseApi = _act(
    "pause_subscriber",
    pause,
    "Hold what it is owed until it is resumed; again changes nothing.",
)
ResumeApi = _act(
    "resume_subscriber", resume, "Send what was held; again changes nothing."
)
TryNowApi = _act(
    "try_subscriber_now",
    try_now,
    "Try one event at once, where an open breaker or `Retry-After` holds all.\n\n"
    "409 where nothing is held, or nothing is owed.",
)
CloseBreakerApi = _act(
    "close_breaker",
    close_breaker,
    "Send what an open breaker holds, few events at first.\n\n"
    "409 where it is not open.",
)


class RotateSecretApi(View):
    permission_classes = (MayManage,)

    @extend_schema(
        operation_id="rotate_secret",
        tags=TAGS,
        request=RotateSecretBody,
        responses=RotatedSecretSerializer,
    )
    def post(self, request: Request, name: str) -> Response:
        """Sign with a new secret; those before it go on signing for the overlap.

        403 for a key that may not change what the subscriber hears: the secret signs
        all of it.
        """
        row = find_subscriber(request, name)
        refuse_change(key_of(request), row)
        said = checked(RotateSecretBody, request)
        rotated = rotate_secret(row, by=actor(request), **said)
        return Response(RotatedSecretSerializer(rotated).data)


class TestApi(View):
    permission_classes = (MayManage,)

    @extend_schema(
        operation_id="test_subscriber",
        tags=TAGS,
        request=ReasonBody,
        responses={202: TestEventSerializer},
    )
    def post(self, request: Request, name: str) -> Response:
        """Send it, alone, an event of type `router.test`, the whole way."""
        row = find_subscriber(request, name)
        said = checked(ReasonBody, request)
        sent = send_test_event(row.pk, by=actor(request), **said)
        told = {"number": sent.number, "held_because": held_because(row)}
        return Response(told, status=HTTPStatus.ACCEPTED)
