"""CloudEvents' AMQP binding on AMQP 0-9-1: attributes are headers of the message."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from router.contract.binding import Attribute, Message
from router.contract.times import format_time

PREFIX = "cloudEvents_"
#: Of AMQP 1.0, whose names may have a colon; both are read.
PREFIXES = (PREFIX, "cloudEvents:")


def to_amqp(message: Message, *, message_id: str) -> aio_pika.Message:
    """The message, written to disk by the router before it confirms."""
    return aio_pika.Message(
        message.body,
        headers={f"{PREFIX}{name}": text for name, text in message.attributes.items()},
        content_type=message.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=message_id,
    )


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
