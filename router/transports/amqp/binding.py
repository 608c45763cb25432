"""CloudEvents' AMQP binding on AMQP 0-9-1: attributes are headers of the message."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from pamqp.common import FieldValue

from router.contract.binding import Attribute, Message, Mode, written
from router.contract.event import Event
from router.contract.times import format_time
from router.transports.amqp.target import MAX_NAME_LENGTH

PREFIX = "cloudEvents_"
#: Of AMQP 1.0, whose names may have a colon; both are read.
PREFIXES = (PREFIX, "cloudEvents:")
#: Bytes of headers. They have to fit into one frame, of 131,072 bytes by default: for a
#: longer one RabbitMQ ends the connection, with all that is under way.
MAX_HEADERS = 64 * 1024


def to_amqp(event: Event, mode: Mode) -> aio_pika.Message:
    """The event as a message that RabbitMQ writes to disk before it confirms:
    structured where its attributes do not fit beside it."""
    message = written(event, mode)
    headers: dict[str, FieldValue] = {
        f"{PREFIX}{name}": text for name, text in message.attributes.items()
    }
    length = sum(len(f"{name}{text!s}".encode()) for name, text in headers.items())
    if length > MAX_HEADERS:
        return to_amqp(event, Mode.STRUCTURED)
    return aio_pika.Message(
        message.body,
        headers=headers,
        content_type=message.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=_message_id(event.id),
    )


def _message_id(event_id: str) -> str:
    """The id, or its digest where it is too long."""
    encoded = event_id.encode()
    fits = len(encoded) <= MAX_NAME_LENGTH
    return event_id if fits else hashlib.sha256(encoded).hexdigest()


def from_amqp(message: AbstractIncomingMessage) -> Message:
    """What came, with the attributes of an event, if it has any."""
    attributes = {
        name.removeprefix(prefix): _attribute(value)
        for name, value in message.headers.items()
        for prefix in PREFIXES
        if name.startswith(prefix)
    }
    return Message(
        body=message.body,
        content_type=message.content_type or "",
        attributes=attributes,
    )


def _attribute(value: Any) -> Attribute:
    match value:
        case bool() | int() | str():
            return value
        case bytes() | bytearray():
            return bytes(value).decode(errors="backslashreplace")
        case datetime():
            return format_time(value, "")
    return str(value)
