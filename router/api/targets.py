"""Targets of foreign routers, tried before a subscriber has them."""

from __future__ import annotations

from typing import Any

from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import (
    actor,
    find_subscriber,
    key_of,
    refuse_change,
    refuse_target,
)
from router.api.bodies import ReasonBody, checked
from router.api.subscribers.serializers import TARGET_FIELDS, TargetField
from router.api.view import View
from router.models import FOREIGN, Transport
from router.operate.targets import try_target, with_kept_secrets

CHOICES = [(each.value, each.label) for each in FOREIGN]


class TargetTestBody(ReasonBody):
    """A target, as a subscriber has it."""

    transport = fields.EnumField(
        Transport, component="ForeignTransport", choices=CHOICES
    )
    target = TargetField(help_text=f"Its fields: {TARGET_FIELDS}.")
    subscriber = fields.CharField(
        required=False,
        max_length=63,
        help_text="The name of one that has this target: what is sent back as `…` is "
        "as it is there.",
    )


class TargetTestSerializer(serializers.Serializer[Any]):
    """Whether the target has confirmed the test event, or why not."""

    is_confirmed = serializers.BooleanField()
    error = serializers.CharField(allow_null=True)


class TestTargetApi(View):
    @extend_schema(
        operation_id="test_target",
        tags=["subscribers"],
        request=TargetTestBody,
        responses=TargetTestSerializer,
    )
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        """Send one event of type `router.test` to a target that no subscriber needs to
        have yet.

        The answer comes when the target has confirmed it, or after some seconds. The
        event is not in the log. The key needs the scope `targets` too.
        """
        body = checked(TargetTestBody, request)
        refuse_target(key_of(request), body)
        name = body.pop("subscriber", None)
        if name is not None:
            body["target"] = _whole(request, name, body["transport"], body["target"])
        error = try_target(**body, by=actor(request))
        return Response({"is_confirmed": error is None, "error": error})


@sensitive_variables()
def _whole(
    request: Request, name: str, transport: str, target: dict[str, Any]
) -> dict[str, Any]:
    """The target with the secrets that this subscriber has."""
    row = find_subscriber(request, name)
    refuse_change(key_of(request), row)
    before = row.whole_target if row.transport == transport else {}
    return dict(with_kept_secrets(transport, target, before))
