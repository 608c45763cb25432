"""Places in the log, as clients name them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field

from router.api import fields
from router.contract.times import MAX_TIME_LENGTH


def _one_member(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "required": [name],
        "properties": {name: schema},
        "additionalProperties": False,
    }


_TIME = {"type": "string", "format": "date-time", "maxLength": MAX_TIME_LENGTH}
_OBJECTS = [
    _one_member(
        "time", _TIME, "By when the log recorded the event; of an import its own time."
    ),
    _one_member(
        "position",
        {"type": "integer"},
        "By the event's position; that of an import is negative.",
    ),
]
START = {
    "description": "`now`, `beginning`, a time or a position: the events from there on,"
    " with the one that is at the place.",
    "oneOf": [{"type": "string", "enum": ["now", "beginning"]}, *_OBJECTS],
    "example": "beginning",
}
END = {
    "description": "`now`, a time or a position: the events before the time, or up to"
    " the position.",
    "oneOf": [{"type": "string", "enum": ["now"]}, *_OBJECTS],
    "example": "now",
}


class _PlaceField(fields.JSONField):
    """What the place means, and whether there is one, is decided beside the log."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> Any:
        match super().to_internal_value(data):
            # In JSON it is a whole number.
            case {"position": float(position), **rest} if position.is_integer():
                return {"position": int(position), **rest}
            case place:
                return place


@extend_schema_field(START, component_name="StartPlace")
class StartField(_PlaceField):
    """From which event on."""


@extend_schema_field(END, component_name="EndPlace")
class EndField(_PlaceField):
    """Up to which event."""
