"""What a change of event types and filter would do, before it is made."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from router.api.auth.keys import (
    find_subscriber,
    key_of,
    refuse_change,
    refuse_wider,
)
from router.api.bodies import Body, checked
from router.api.subscribers.serializers import (
    FilterField,
    LimitField,
    Meaning,
    TypesField,
)
from router.api.view import View
from router.models import EventRecord
from router.operate.selection_preview import preview_selection


class SelectionBody(Meaning, Body):
    """Which events a subscriber would get; what is left out stays as it is."""

    events = TypesField(required=False)
    filter = FilterField(required=False, allow_null=True)
    allowed_types = LimitField(required=False)
    allowed_sources = LimitField(required=False)


class PreviewedEventSerializer(serializers.ModelSerializer[EventRecord]):
    """An event for which the answer would be another one."""

    id = serializers.CharField(source="event_id")
    time = serializers.DateTimeField(source="recorded_at")

    class Meta:
        model = EventRecord
        fields = ["number", "position", "source", "id", "type", "subject", "time"]


class SqlErrorSerializer(serializers.Serializer[Any]):
    """What goes wrong in the SQL of the filter, and for how many events."""

    error = serializers.CharField()
    count = serializers.IntegerField()

    def to_representation(self, instance: tuple[str, int]) -> dict[str, Any]:
        return dict(zip(self.fields, instance, strict=True))


class PreviewSerializer(serializers.Serializer[Any]):
    """The newest events of the log, with the subscriber as it is and as it would be."""

    event_count = serializers.IntegerField(help_text="Events that were looked at.")
    oldest_at = serializers.DateTimeField(
        allow_null=True, help_text="When the log recorded the oldest of them."
    )
    now_count = serializers.IntegerField(help_text="Events that it gets now.")
    after_count = serializers.IntegerField(help_text="Events that it would get.")
    added_count = serializers.IntegerField(
        help_text="Events that it would get in addition."
    )
    removed_count = serializers.IntegerField(
        help_text="Events that it would not get any more."
    )
    added = PreviewedEventSerializer(many=True, help_text="The newest of them.")
    removed = PreviewedEventSerializer(many=True, help_text="The newest of them.")
    sql_errors = SqlErrorSerializer(
        many=True,
        help_text="What keeps events of the types away because the SQL has an error.",
    )


class PreviewFilterApi(View):
    @extend_schema(
        operation_id="preview_filter",
        tags=["subscribers"],
        request=SelectionBody,
        responses=PreviewSerializer,
    )
    def post(self, request: Request, name: str) -> Response:
        """Compare what the subscriber gets now with what it would get of the last
        1,000 events.

        Nothing is changed. A filter over data looks at fewer events where these have
        much data. 403 for a key that may not make the change.
        """
        row, key = find_subscriber(request, name), key_of(request)
        changes = checked(SelectionBody, request)
        refuse_change(key, row)
        refuse_wider(key, changes)
        return Response(PreviewSerializer(preview_selection(row, changes)).data)
