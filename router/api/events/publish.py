"""Publish over HTTP, in each mode of the CloudEvents binding."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.db.models import IntegerChoices
from drf_spectacular.utils import (
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import key_of, refuse_unbound
from router.api.events.binary_headers import HEADERS
from router.api.events.parsers import (
    BatchParser,
    BinaryParser,
    Sent,
    StructuredParser,
    sent_events,
)
from router.api.events.serializers import EVENT, EVENTS
from router.api.view import View
from router.contract.cloudevents import publish_arguments
from router.contract.data import BINARY_TYPE, JSON_TYPE, TEXT_TYPE
from router.flow.publish.publishing import for_each, publish_batch, publish_given
from router.flow.publish.recording import Published
from router.models import ApiKey


class PublishStatus(IntegerChoices):
    KNOWN = 200, "Recorded before"
    NEW = 202, "New"


class PublishedEventSerializer(serializers.Serializer[Any]):
    """`status`: 202 for a new event, 200 for one that was recorded before."""

    number = serializers.IntegerField()
    id = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # the field's own name
    status = fields.EnumField(PublishStatus)


class PublishedBatchSerializer(serializers.Serializer[Any]):
    results = PublishedEventSerializer(many=True)


ANSWER = PolymorphicProxySerializer(
    component_name="PublishResponse",
    serializers=[PublishedEventSerializer, PublishedBatchSerializer],
    resource_type_field_name=None,
)


#: The data of binary mode, by its media type; any other is taken too.
BINARY: dict[str, Any] = {
    JSON_TYPE: {},
    TEXT_TYPE: {"type": "string"},
    BINARY_TYPE: {"type": "string", "format": "binary"},
    BinaryParser.media_type: {"type": "string", "format": "binary"},
}


class PublishApi(View):
    needs_body = True
    parser_classes = (StructuredParser, BinaryParser, BatchParser)

    @extend_schema(
        operation_id="publish_events",
        tags=["events"],
        parameters=HEADERS,
        request={
            StructuredParser.media_type: EVENT,
            BatchParser.media_type: EVENTS,
            **BINARY,
        },
        responses={
            202: OpenApiResponse(ANSWER, "It is new, or some of the batch are."),
            200: OpenApiResponse(ANSWER, "It was recorded before."),
        },
    )
    def post(self, request: Request) -> Response:
        """Record events, as the CloudEvents 1.0 HTTP binding has them.

        202: recorded, and owed to every subscriber that wants it. 200: it was recorded
        before. A batch is all or nothing: 202 when at least one of it was new.

        In binary mode the body is the data, of any media type, or empty; the headers
        `ce-specversion`, `ce-id`, `ce-source` and `ce-type` are required then, and
        `ce-NAME` is the extension NAME.
        """
        sent = sent_events(request)
        if sent.is_batch:
            return _batch(sent, key_of(request))
        arguments = publish_arguments(sent.events[0])
        refuse_unbound(key_of(request), arguments)
        shown = _shown(publish_given(arguments))
        return Response(shown, status=shown["status"])


def _batch(sent: Sent, key: ApiKey) -> Response:
    entries = for_each(sent.events, publish_arguments)
    refuse_unbound(key, *entries, is_batch=True)
    results = [_shown(published) for published in publish_batch(entries)]
    statuses = [result["status"] for result in results]
    return Response({"results": results}, status=max(statuses, default=HTTPStatus.OK))


def _shown(published: Published) -> dict[str, Any]:
    status = HTTPStatus.ACCEPTED if published.is_new else HTTPStatus.OK
    return {
        "number": published.number,
        "id": published.event.id,
        "source": published.event.source,
        "status": int(status),
    }
