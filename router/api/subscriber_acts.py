"""What a person or a program does to a subscriber: pause, resume, rotate, test."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from router.api.finding import actor, find_subscriber
from router.api.permissions import MayManage
from router.api.subscriber_shapes import SubscriberSerializer
from router.flow import auditing
from router.flow.registering import pause, resume
from router.flow.rotating import rotate_secret
from router.flow.trying_out import send_test_event
from router.models import Subscriber

TAGS = ["subscribers"]


class PauseSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=300, default="", allow_blank=True)


class RotateSerializer(serializers.Serializer[Any]):
    """`overlap_seconds`: how long the secrets before it go on signing."""

    overlap_seconds = serializers.IntegerField(required=False, min_value=0)


class RotatedSerializer(serializers.Serializer[Any]):
    """The new secret, shown this once; receivers take both until the old expire."""

    secret = serializers.CharField()
    old_expire_at = serializers.DateTimeField(allow_null=True)


class SentSerializer(serializers.Serializer[Any]):
    """The test event's number in the log."""

    number = serializers.IntegerField()


class PauseApi(APIView):
    permission_classes = (MayManage,)

    @extend_schema(
        operation_id="pause_subscriber",
        tags=TAGS,
        request=PauseSerializer,
        responses=SubscriberSerializer,
    )
    def post(self, request: Request, name: str) -> Response:
        """Hold what it is owed until it is resumed; again changes nothing."""
        row = find_subscriber(self, name)
        said = PauseSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        if pause(row.pk, reason=said.validated_data["reason"], by=actor(request)):
            _note("paused", row, request)
        return _shown(row)


class ResumeApi(APIView):
    permission_classes = (MayManage,)

    @extend_schema(
        operation_id="resume_subscriber",
        tags=TAGS,
        request=None,
        responses=SubscriberSerializer,
    )
    def post(self, request: Request, name: str) -> Response:
        """Let go what was held; again changes nothing."""
        row = find_subscriber(self, name)
        if resume(row.pk, by=actor(request)):
            _note("resumed", row, request)
        return _shown(row)


class RotateSecretApi(APIView):
    permission_classes = (MayManage,)

    @extend_schema(
        operation_id="rotate_secret",
        tags=TAGS,
        request=RotateSerializer,
        responses=RotatedSerializer,
    )
    def post(self, request: Request, name: str) -> Response:
        """Sign with a new secret; those before it go on signing for the overlap."""
        row = find_subscriber(self, name)
        said = RotateSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        rotated = rotate_secret(row, by=actor(request), **said.validated_data)
        return Response(RotatedSerializer(rotated).data)


class TestApi(APIView):
    permission_classes = (MayManage,)

    @extend_schema(
        operation_id="test_subscriber",
        tags=TAGS,
        request=None,
        responses={202: SentSerializer},
    )
    def post(self, request: Request, name: str) -> Response:
        """Send it, alone, an event of type `router.test`, the whole way."""
        row = find_subscriber(self, name)
        sent = send_test_event(row.pk)
        _note("tested", row, request)
        return Response({"number": sent.number}, status=HTTPStatus.ACCEPTED)


def _note(act: str, row: Subscriber, request: Request) -> None:
    auditing.note(f"subscriber.{act}", f"subscriber {row.name}", by=actor(request))


def _shown(row: Subscriber) -> Response:
    row.refresh_from_db()
    return Response(SubscriberSerializer(row).data)
