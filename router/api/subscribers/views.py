"""Subscribers: list, create, show, change, delete, and one call for each act."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import (
    actor,
    find_subscriber,
    key_of,
    limited,
    refuse_change,
    refuse_reception,
    refuse_target,
    refuse_wider,
)
from router.api.bodies import ReasonBody, checked
from router.api.http.pagination import CursorPages
from router.api.http.query_params import QuerySerializer
from router.api.subscribers.serializers import (
    RotatedSecretSerializer,
    RotateSecretBody,
    SubscriberCreate,
    SubscriberSerializer,
    SubscriberUpdate,
    SubscriberWithSecretSerializer,
    TestEventSerializer,
)
from router.api.view import View
from router.db.patterns import within
from router.flow.breaker.held import held_because
from router.models import Subscriber
from router.operate.declared import pause, resume
from router.operate.interventions import close_breaker, try_now
from router.operate.secrets import rotate_secret
from router.operate.subscribers import (
    Managed,
    create_subscriber,
    delete_subscriber,
    edit_subscriber,
)
from router.operate.test_event import send_test_event

TAGS = ["subscribers"]
#: Fields that decide which events a subscriber receives, and where they go.
DIRECTING = {
    "events", "filter", "allowed_types", "allowed_sources",
    "transport", "url", "target", "custom_headers", "dataschemas",
}  # fmt: skip
#: Fields that decide when an event is given up, as skipping it does.
GIVING_UP = {"waits_seconds", "max_failures"}
A_WEBHOOK = OpenApiExample(
    "A webhook",
    value={
        "name": "crm",
        "transport": "webhook",
        "url": "https://crm.example/hooks",
        "events": ["purchase.*"],
    },
    request_only=True,
)


class SubscribersApi(View, ListAPIView[Subscriber]):
    serializer_class = SubscriberSerializer
    pagination_class = CursorPages

    def get_queryset(self) -> Any:
        return Subscriber.objects.known().filter(
            within("name", key_of(self.request).patterns("subscribers"))
        )

    @extend_schema(operation_id="list_subscribers", tags=TAGS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Every subscriber that this key may manage, the newest first."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="create_subscriber",
        tags=TAGS,
        request=SubscriberCreate,
        responses={201: SubscriberWithSecretSerializer},
        examples=[A_WEBHOOK],
    )
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        """Add a subscriber: it is owed every event that is routed from now on, and
        those before, as far back as `from` says.

        A webhook's signing secret is in the answer, this once. What it may receive is
        limited to the types and sources that the key is bound to.
        """
        wanted = SubscriberCreate(data=request.data)
        wanted.is_valid(raise_exception=True)
        name, key = wanted.validated_data["name"], key_of(request)
        refuse_target(key, wanted.wanted())
        limits = limited(key, name, wanted.wanted())
        created = create_subscriber(
            name,
            by=actor(request),
            bound_to=key.patterns("subscribers"),
            start=wanted.validated_data["from"],
            **limits,
        )
        return Response(_shown(created), status=HTTPStatus.CREATED)


class ReasonQuery(QuerySerializer):
    reason = fields.CharField(
        max_length=300, required=False, help_text="Why: kept in the audit."
    )


class SubscriberApi(View):
    queries = {"DELETE": ReasonQuery}

    @extend_schema(
        operation_id="get_subscriber", tags=TAGS, responses=SubscriberSerializer
    )
    def get(self, request: Request, name: str) -> Response:
        """One subscriber."""
        return Response(SubscriberSerializer(find_subscriber(request, name)).data)

    @extend_schema(
        operation_id="change_subscriber",
        tags=TAGS,
        request=SubscriberUpdate,
        responses=SubscriberWithSecretSerializer,
    )
    @sensitive_variables()
    def patch(self, request: Request, name: str) -> Response:
        """Change what the body names.

        It holds for events that are routed from now on; what is owed already is
        delivered by the new way. Turned into a webhook for the first time, the answer
        has its signing secret, this once. 403 for a key that is bound to less than the
        subscriber may receive, and changes what it receives, where that goes, or when
        an event is given up.
        """
        row = find_subscriber(request, name)
        changes = SubscriberUpdate(data=request.data)
        changes.is_valid(raise_exception=True)
        wanted, key = changes.wanted(), key_of(request)
        refuse_target(key, wanted)
        if not wanted.keys().isdisjoint(DIRECTING):
            refuse_change(key, row)
            refuse_wider(key, wanted)
        if not wanted.keys().isdisjoint(GIVING_UP):
            refuse_reception(key, row)
        changed = edit_subscriber(row, by=actor(request), **wanted)
        return Response(_shown(changed))

    @extend_schema(
        operation_id="delete_subscriber",
        tags=TAGS,
        parameters=[ReasonQuery],
        responses={204: OpenApiResponse(description="It is deleted.")},
    )
    def delete(self, request: Request, name: str) -> Response:
        """Delete it for good: what it is owed is cancelled, and nobody gets it."""
        row = find_subscriber(request, name)
        refuse_change(key_of(request), row)
        delete_subscriber(row, by=actor(request), **self.asked)
        return Response(status=HTTPStatus.NO_CONTENT)


def _act(operation_id: str, act: Callable[..., Any], description: str) -> type[View]:
    """The call that does `act`, with a reason, and answers with the subscriber."""

    class ActApi(View):
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
    "Hold its events until it is resumed; a second call changes nothing.",
)
ResumeApi = _act(
    "resume_subscriber", resume, "Send what was held; a second call changes nothing."
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
    @extend_schema(
        operation_id="rotate_secret",
        tags=TAGS,
        request=RotateSecretBody,
        responses=RotatedSecretSerializer,
    )
    def post(self, request: Request, name: str) -> Response:
        """Sign with a new secret; those before it go on signing for the overlap.

        403 for a key that may not change what the subscriber receives: the secret signs
        all of it.
        """
        row = find_subscriber(request, name)
        refuse_change(key_of(request), row)
        body = checked(RotateSecretBody, request)
        rotated = rotate_secret(row, by=actor(request), **body)
        return Response(RotatedSecretSerializer(rotated).data)


class TestApi(View):
    @extend_schema(
        operation_id="test_subscriber",
        tags=TAGS,
        request=ReasonBody,
        responses={202: TestEventSerializer},
    )
    def post(self, request: Request, name: str) -> Response:
        """Send this subscriber alone an event of type `router.test`, the whole way."""
        row = find_subscriber(request, name)
        body = checked(ReasonBody, request)
        sent = send_test_event(row.pk, by=actor(request), **body)
        answer = {"number": sent.number, "held_because": held_because(row)}
        return Response(answer, status=HTTPStatus.ACCEPTED)


def _shown(managed: Managed) -> dict[str, Any]:
    shown: dict[str, Any] = dict(SubscriberSerializer(managed.subscriber).data)
    if managed.secret is not None:
        shown["secret"] = managed.secret
    return shown
