"""Links with which the owner of a subscriber opens its portal."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import (
    actor,
    find_receiver,
    key_of,
    refuse_change,
)
from router.api.bodies import ReasonBody, checked
from router.api.subscribers.views import TAGS, ReasonQuery
from router.api.view import View
from router.models import PortalLink, Subscriber
from router.operate.portal_links import (
    DEFAULT_DAYS,
    MAX_DAYS,
    MAX_LABEL_LENGTH,
    create_portal_link,
    link_address,
    live_links,
    revoke_portal_link,
)

A_LINK = OpenApiExample(
    "A link", value={"label": "Ada of the CRM team", "days": 7}, request_only=True
)


class PortalLinkBody(ReasonBody):
    """Who the link is for, and how long."""

    label = fields.CharField(  # type: ignore[assignment]  # the framework has one too
        max_length=MAX_LABEL_LENGTH,
        help_text="The owner, for staff: the audit has it as `portal: LABEL`.",
    )
    days = fields.IntegerField(
        default=DEFAULT_DAYS,
        min_value=1,
        max_value=MAX_DAYS,
        help_text="Until the link and what it opened end.",
    )


class PortalLinkSerializer(serializers.Serializer[Any]):
    """The link; its address is shown this once, and opens one browser once."""

    id = serializers.IntegerField()
    label = serializers.CharField()  # type: ignore[assignment]  # likewise
    expires_at = serializers.DateTimeField()
    url = serializers.CharField()


class PortalLinksApi(View):
    @extend_schema(
        operation_id="create_portal_link",
        tags=TAGS,
        request=PortalLinkBody,
        responses={201: PortalLinkSerializer},
        examples=[A_LINK],
    )
    @sensitive_variables()
    def post(self, request: Request, name: str) -> Response:
        """Create a link with which the owner of a subscriber opens its pages.

        The owner changes its address and event types there, sees and rotates its
        signing secret, and sees its deliveries. 403 for a key that may not do the same;
        409 for a function of this site.
        """
        row = _of(request, name)
        body = checked(PortalLinkBody, request)
        link, token = create_portal_link([row], by=actor(request), **body)
        url = link_address(token, site=request.build_absolute_uri("/"))
        shown = {"id": link.pk, "label": link.label, "expires_at": link.expires_at}
        answer = PortalLinkSerializer({**shown, "url": url})
        return Response(answer.data, status=HTTPStatus.CREATED)


class PortalLinkApi(View):
    queries = {"DELETE": ReasonQuery}

    @extend_schema(
        operation_id="revoke_portal_link",
        tags=TAGS,
        parameters=[ReasonQuery],
        responses={204: OpenApiResponse(description="It is revoked.")},
    )
    def delete(self, request: Request, name: str, id: int) -> Response:
        """Revoke a link: it opens nothing more, and what it opened is closed now."""
        link = _find(request, _of(request, name), id)
        revoke_portal_link(link, by=actor(request), **self.asked)
        return Response(status=HTTPStatus.NO_CONTENT)


def _of(request: Request, name: str) -> Subscriber:
    """The subscriber, all of which this key may see and change. Raises `NotFound`,
    `NotBound`."""
    row = find_receiver(request, name)
    refuse_change(key_of(request), row)
    return row


def _find(request: Request, row: Subscriber, link_id: int) -> PortalLink:
    """A link of this subscriber, and of no other that the key does not reach."""
    link = live_links(row).filter(pk=link_id).first()
    key = key_of(request)
    if link is None or not all(map(key.may_change, link.subscribers.all())):
        raise NotFound(
            f"{row.name} has no portal link {link_id}. POST "
            f"/api/subscribers/{row.name}/portal-links/ creates one."
        )
    return link
