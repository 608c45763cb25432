"""What the router posts to a webhook, for the API's description."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiWebhook

from router.api.events.serializers import EVENT, TRACEPARENT


def _header(
    name: str, schema: dict[str, Any], description: str, *, is_required: bool = True
) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": is_required,
        "description": description,
        "schema": schema,
    }


WEBHOOK_HEADERS = [
    _header(
        "webhook-id",
        {"type": "string", "pattern": "^msg_[0-9a-f]+$"},
        "The same on every attempt and replay of an event: know doubles by it.",
    ),
    _header(
        "webhook-timestamp",
        {"type": "integer", "minimum": 0},
        "When this attempt was signed, in seconds since 1970. Refuse what is old.",
    ),
    _header(
        "webhook-signature",
        {"type": "string"},
        "Standard Webhooks: `v1,` and the signature in base64, for each secret that is"
        " in force, with spaces between.",
    ),
    _header("router-attempt", {"type": "integer", "minimum": 1}, "1 for the first."),
    _header(
        "router-origin",
        {"$ref": "#/components/schemas/Origin"},
        "Why the event is owed.",
    ),
    _header(
        "router-position",
        {"type": "integer", "minimum": 1},
        "The event's place in the log: reconcile by it.",
    ),
    _header(
        "traceparent",
        {"type": "string", "pattern": TRACEPARENT},
        "W3C Trace Context of this attempt, where the router records traces.",
        is_required=False,
    ),
]
ANSWERS = {
    "2XX": "The event is acknowledged. The body is not read.",
    "410": "The endpoint is gone for good: the router disables the subscriber.",
    "429": "Not now. The router tries again, after `Retry-After` where it is given.",
    "503": "Not now. The router tries again, after `Retry-After` where it is given.",
    "default": "A failure: the router tries again, as the subscriber's schedule says.",
}
EVENT_WEBHOOK = OpenApiWebhook(
    name="event",
    decorator={
        "post": {
            "operationId": "receive_event",
            "tags": ["webhooks"],
            "description": "An event that a subscriber with the transport `webhook` is"
            " owed: posted to its `url`, with its own `headers` beside these.",
            "security": [],
            "parameters": WEBHOOK_HEADERS,
            "requestBody": {
                "required": True,
                "content": {"application/cloudevents+json": {"schema": EVENT}},
            },
            "responses": {
                status: {"description": description}
                for status, description in ANSWERS.items()
            },
        }
    },
)
