"""An event as a message of a router that carries bytes with attributes.

The modes of the CloudEvents bindings: in a *structured* message the whole event is the
body, in JSON; in a *binary* one the body is the data, and the event's attributes stand
beside it. How a router writes an attribute's name is the transport's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from router.contract import data as event_data
from router.contract import json_text
from router.contract.errors import InvalidEvent
from router.contract.event import Event

#: What every event's own media type begins with.
OWN_PREFIX = "application/cloudevents"
STRUCTURED_TYPE = "application/cloudevents+json"
NOT_ATTRIBUTES = ("data", "data_base64", "datacontenttype")

Attribute = str | int | bool


class Mode(StrEnum):
    BINARY = "binary"
    STRUCTURED = "structured"


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a router carries. `attributes` are those of the event, without prefix; in a
    structured message there are none. `key` keeps events of one thing together."""

    body: bytes
    content_type: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    key: str = ""


def written(event: Event, mode: Mode) -> Message:
    """The event in this mode.

    Structured also where bytes could not tell its data: no data at all, an empty text,
    a value that its type does not fit.
    """
    body = _body(event) if mode is Mode.BINARY else b""
    if not body:
        text = json_text.dumped(event.to_cloudevent())
        return Message(
            body=text.encode(),
            content_type=f"{STRUCTURED_TYPE}; charset=utf-8",
            key=event.partitionkey,
        )
    return Message(
        body=body,
        content_type=event.datacontenttype,
        attributes=attributes_of(event),
        key=event.partitionkey,
    )


def attributes_of(event: Event) -> dict[str, Attribute]:
    """The attributes that a binary message has beside its body."""
    whole = event.to_cloudevent()
    return {name: whole[name] for name in whole if name not in NOT_ATTRIBUTES}


def attribute_text(value: Attribute) -> str:
    """The canonical text of CloudEvents' type system."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def read(message: Message) -> Any:
    """The event in CloudEvents' JSON format, unchecked; None where it is no CloudEvent.

    Raises `InvalidEvent` for what says that it is one and can't be read.
    """
    media_type = message.content_type.partition(";")[0].strip().lower()
    if media_type == STRUCTURED_TYPE:
        return _parsed(message.body)
    if media_type.startswith(OWN_PREFIX):
        detail = f"must be {STRUCTURED_TYPE}, or the data's own type"
        raise InvalidEvent(
            f"The content type {media_type} {detail}.",
            problems=[("/datacontenttype", detail)],
        )
    if "specversion" not in message.attributes:
        return None
    return {**message.attributes, **content(message)}


def content(message: Message) -> dict[str, Any]:
    """The data, which no body has not, and its type; the data is in bytes."""
    kind = message.content_type
    if not message.body:
        return {"datacontenttype": kind} if kind else {}
    kind = kind or event_data.guessed_type(message.body)
    return {"datacontenttype": kind, "data": message.body}


def _body(event: Event) -> bytes | None:
    if not event.has_data:
        return None
    return event_data.written(event.data, event.datacontenttype)


def _parsed(body: bytes) -> Any:
    try:
        return json_text.parse(body.decode("utf-8-sig"))
    except InvalidEvent:
        raise
    except (ValueError, RecursionError) as error:
        detail = f"is not JSON: {error}"
        raise InvalidEvent(f"The message {detail}.", problems=[("", detail)]) from None
