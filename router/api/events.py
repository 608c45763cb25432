from __future__ import annotations

from http import HTTPStatus
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from router.api.cloudevents import StructuredParser, publish_arguments
from router.api.permissions import MayPublish
from router.api.problems import LengthMissing
from router.public import publish

#: The JSON format of CloudEvents 1.0.
ENVELOPE = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"type": "string", "const": "1.0"},
        "id": {
            "type": "string",
            "description": "Unique among the events of its source.",
        },
        "source": {
            "type": "string",
            "format": "uri-reference",
            "description": "Who publishes.",
        },
        "type": {
            "type": "string",
            "description": "Noun and past participle: `purchase.completed`.",
        },
        "subject": {"type": "string", "description": "What it is about."},
        "time": {"type": "string", "format": "date-time"},
        "dataschema": {"type": "string", "format": "uri"},
        "partitionkey": {
            "type": "string",
            "description": "The ordering key: what belongs together.",
        },
        "traceparent": {"type": "string", "description": "W3C Trace Context."},
        "data": {"description": "Any JSON."},
    },
    "additionalProperties": True,
    "example": {
        "specversion": "1.0",
        "id": "parcel-7",
        "source": "/partner",
        "type": "parcel.lost",
        "data": {"parcel": 7},
    },
}


class PublishedSerializer(serializers.Serializer[Any]):
    """The event in the log; `status` is the answer's own."""

    number = serializers.IntegerField()
    id = serializers.CharField()
    # The metaclass takes it away before it could hide `Field.source`.
    source = serializers.CharField()  # type: ignore[assignment]
    status = serializers.IntegerField()


class EventsApi(APIView):
    """Publish an event."""

    parser_classes = (StructuredParser,)
    permission_classes = (MayPublish,)

    @extend_schema(
        operation_id="publish_event",
        tags=["events"],
        request={StructuredParser.media_type: ENVELOPE},
        responses={
            202: OpenApiResponse(PublishedSerializer, "It is new, and is owed."),
            200: OpenApiResponse(PublishedSerializer, "It was recorded already."),
        },
    )
    def post(self, request: Request) -> Response:
        """Record an event: 202 for a new one, 200 for one that is recorded already."""
        if not request.META.get("CONTENT_LENGTH"):
            raise LengthMissing("Send the body with a Content-Length, not chunked.")
        published = publish(**publish_arguments(request.data))
        status = HTTPStatus.ACCEPTED if published.is_new else HTTPStatus.OK
        body = {
            "number": published.number,
            "id": published.event.id,
            "source": published.event.source,
            "status": int(status),
        }
        return Response(body, status=status)
