"""Events in JSON: what a publisher sends, and what the log shows."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from router.api import fields
from router.api.fields import ATTRIBUTE, whole
from router.contract import attributes
from router.contract.attributes import EXTENSION_NAME, MAX_INTEGER, MAX_LENGTHS
from router.contract.data import MAX_TYPE_LENGTH, MEDIA_TYPE
from router.contract.times import MAX_TIME_LENGTH
from router.models import AttemptResult, DeliveryState, Origin, Trigger

MEMBER_NAME = whole(f"{EXTENSION_NAME.pattern}|data_base64")
#: The bits that belong to no byte are zero (RFC 4648, section 3.5).
BASE64 = (
    r"^([A-Za-z0-9+/]{4})*"
    r"([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$"
)
TRACEPARENT = whole(attributes.TRACEPARENT.pattern)
MEDIA = whole(MEDIA_TYPE.pattern)
#: Any JSON: without a type.
DATA: dict[str, Any] = {
    "description": "The data: any JSON, or a string of another `datacontenttype`."
}


def _text(name: str, **more: Any) -> dict[str, Any]:
    bounds = {"minLength": 1, "maxLength": MAX_LENGTHS[name], "pattern": ATTRIBUTE}
    return {"type": "string", **bounds, **more}


def _optional(name: str, **more: Any) -> dict[str, Any]:
    """Null is the same as left out (JSON format, section 2.2)."""
    return {**_text(name, **more), "type": ["string", "null"]}


CLOUDEVENT: dict[str, Any] = {
    "type": "object",
    "description": "CloudEvents 1.0, JSON format. Further attributes are extensions.",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"type": "string", "const": "1.0"},
        "id": _text("id", description="Unique among the events of its source."),
        "source": _text("source", format="uri-reference", description="Who publishes."),
        "type": _text(
            "type",
            description="Best a noun and a past participle: `purchase.completed`. "
            "`router.…` is the router's own.",
        ),
        "subject": _optional("subject", description="What it is about."),
        "time": {
            "type": ["string", "null"],
            "format": "date-time",
            "maxLength": MAX_TIME_LENGTH,
        },
        "datacontenttype": {
            "type": ["string", "null"],
            "minLength": 3,
            "maxLength": MAX_TYPE_LENGTH,
            "pattern": MEDIA,
            "description": "The media type of the data; left out, `application/json`.",
        },
        "dataschema": _optional(
            "dataschema", format="uri", description="The `$id` of its schema."
        ),
        "partitionkey": _optional(
            "partitionkey", description="The ordering key: what belongs together."
        ),
        "traceparent": _optional(
            "traceparent", pattern=TRACEPARENT, description="W3C Trace Context."
        ),
        "data": DATA,
        "data_base64": {
            "type": ["string", "null"],
            "contentEncoding": "base64",
            "pattern": BASE64,
            "description": "Data in bytes, in the place of `data`.",
        },
    },
    # An event has data in one of the two; null is none.
    "not": {
        "required": ["data", "data_base64"],
        "properties": {
            "data": {"not": {"type": "null"}},
            "data_base64": {"type": "string"},
        },
    },
    "propertyNames": {"pattern": MEMBER_NAME},
    # Not as `additionalProperties`: generated types would hold `data` to it too.
    "patternProperties": {
        "^(?!data$)": {
            "type": ["string", "integer", "boolean", "null"],
            "minimum": -MAX_INTEGER - 1,
            "maximum": MAX_INTEGER,
            "pattern": ATTRIBUTE,
        }
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
#: The components, by reference.
EVENT = {"$ref": "#/components/schemas/CloudEvent"}
EVENTS = {"$ref": "#/components/schemas/CloudEventBatch"}
#: The second part says nothing new. Without it, Python that is generated asks
#: `isinstance(body, list[CloudEvent])`, and fails.
BATCH: dict[str, Any] = {
    "description": "Events, each in CloudEvents' JSON format.",
    "allOf": [{"type": "array", "items": EVENT}, {"type": "array"}],
}


@extend_schema_field(EVENT)
class CloudEventField(serializers.Field[Any, Any, Any, Any]):
    """An `EventRecord` in CloudEvents' JSON format."""

    def to_representation(self, value: Any) -> dict[str, Any]:
        shown: dict[str, Any] = value.shown()
        return shown


class LoggedEventSerializer(serializers.Serializer[Any]):
    """`position` is null until the event is routed."""

    number = serializers.IntegerField()
    position = serializers.IntegerField(allow_null=True)
    recorded_at = serializers.DateTimeField()
    event = CloudEventField(source="*")


@extend_schema_field({"type": "object", "additionalProperties": True})
class RequestField(serializers.JSONField):
    """What a webhook was sent with, without secrets."""


class AttemptSerializer(serializers.Serializer[Any]):
    """One try of a delivery; `answer` is the first KiB of a webhook's."""

    number = serializers.IntegerField()
    trigger = fields.EnumField(Trigger, component="AttemptTrigger")
    result = fields.EnumField(AttemptResult)
    error = serializers.CharField()
    http_status = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.FloatField(allow_null=True)
    ended_at = serializers.DateTimeField()
    answer = serializers.CharField()
    request = RequestField(allow_null=True)


class DeliverySerializer(serializers.Serializer[Any]):
    """One event owed to one subscriber, with its newest attempts.

    A subscriber that is served in the stream has a delivery, with an id, only
    of an event that it failed on; without one `failures` is 0 and `attempt_log` empty.
    """

    id = serializers.IntegerField(
        allow_null=True,
        help_text="null: the subscriber is served in the stream, or has as many "
        "deliveries already as it may have.",
    )
    subscriber = serializers.CharField(source="subscriber.name")
    state = fields.EnumField(DeliveryState)
    origin = fields.EnumField(Origin)
    attempts = serializers.IntegerField()
    failures = serializers.IntegerField()
    due_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When it may go; null while it is held, and where `id` is null.",
    )
    waits_for = serializers.IntegerField(
        allow_null=True,
        help_text="Number of the event of the same key that it is held behind.",
    )
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    attempt_log = AttemptSerializer(many=True, source="newest_attempts")


class EventWithDeliveriesSerializer(LoggedEventSerializer):
    deliveries = DeliverySerializer(many=True, source="shown_deliveries")
