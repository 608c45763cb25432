"""JSON Schemas of event types: list, register, retire."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast, Length
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import actor, key_of
from router.api.auth.permissions import MayDescribe
from router.api.bodies import ReasonBody, checked
from router.api.http.exceptions import NotBound
from router.api.http.pagination import CursorPages
from router.api.http.query_params import QuerySerializer
from router.api.subscribers.views import ReasonQuery
from router.api.view import View
from router.db.patterns import within
from router.models import EventSchema
from router.operate.schemas import register_schema, retire_schema

TAGS = ["schemas"]


@extend_schema_field({"type": "object", "additionalProperties": True})
class SchemaField(fields.JSONField):
    """A JSON Schema, draft 2020-12, with an `$id`."""


class SchemaCreate(ReasonBody):
    """`schema` is complete: it refers to nothing outside."""

    type = fields.CharField(max_length=255, trim_whitespace=False)
    schema = SchemaField()


class EventSchemaSerializer(serializers.Serializer[Any]):
    """`dataschema` is the `$id`, which events of the type name."""

    id = serializers.IntegerField(help_text="To retire it by.")
    type = serializers.CharField()
    dataschema = serializers.CharField()
    schema = SchemaField()
    created_at = serializers.DateTimeField()
    retired_at = serializers.DateTimeField(
        allow_null=True, help_text="From then on it refuses nothing; null: it holds."
    )


class SchemaQuerySerializer(QuerySerializer):
    type = fields.CharField(required=False, max_length=255, trim_whitespace=False)


class SchemaPages(CursorPages):
    weight = Length(Cast("schema", TextField()))


class SchemasApi(View, ListAPIView[EventSchema]):
    permission_classes = (MayDescribe,)
    serializer_class = EventSchemaSerializer
    pagination_class = SchemaPages
    queries = {"GET": SchemaQuerySerializer}

    def get_queryset(self) -> QuerySet[EventSchema]:
        visible = within("type", key_of(self.request).patterns("types"))
        return EventSchema.objects.filter(visible, **self.asked)

    @extend_schema(
        operation_id="list_schemas", tags=TAGS, parameters=[SchemaQuerySerializer]
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The registered schemas, the newest first; those of files are not shown."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="register_schema",
        tags=TAGS,
        request=SchemaCreate,
        responses={200: EventSchemaSerializer, 201: EventSchemaSerializer},
    )
    def post(self, request: Request) -> Response:
        """Describe an event type from now on; 200 when the same schema holds already.

        Registered again after it was retired, it holds again.
        """
        body = checked(SchemaCreate, request)
        event_type = body.pop("type")
        if not key_of(request).may_describe(event_type):
            problem = "is not this key's to describe"
            raise NotBound(f"{event_type} {problem}.", problems=[("/type", problem)])
        row, is_new = register_schema(event_type, by=actor(request), **body)
        status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
        return Response(EventSchemaSerializer(row).data, status=status)


class SchemaApi(View):
    permission_classes = (MayDescribe,)
    queries = {"DELETE": ReasonQuery}

    @extend_schema(
        operation_id="retire_schema",
        tags=TAGS,
        parameters=[ReasonQuery],
        responses={204: OpenApiResponse(description="It no longer refuses events.")},
    )
    def delete(self, request: Request, schema_id: int) -> Response:
        """Retire a registered schema: it stays in the list, and refuses nothing.

        Events of its type are checked against the other schemas of the type; recorded
        events keep its name. Again changes nothing.
        """
        row = EventSchema.objects.filter(pk=schema_id).first()
        if row is None or not key_of(request).may_describe(row.type):
            raise NotFound(
                f"This API key reaches no schema {schema_id}. GET /api/schemas/ lists "
                "the schemas."
            )
        retire_schema(row, by=actor(request), **self.asked)
        return Response(status=HTTPStatus.NO_CONTENT)
