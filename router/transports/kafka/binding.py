"""CloudEvents' Kafka binding: attributes are headers of the record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import confluent_kafka

from router.contract.binding import Message, attribute_text

PREFIX = "ce_"
CONTENT_TYPE = "content-type"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a topic keeps. A record without `value` would be a tombstone, which deletes
    its key from a compacted topic: no event is written so."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


def to_kafka(message: Message) -> Record:
    """The message; without key it goes to any partition."""
    attributes = message.attributes.items()
    return Record(
        key=message.key.encode() or None,
        value=message.body,
        headers=[
            (CONTENT_TYPE, message.content_type.encode()),
            *(
                (f"{PREFIX}{name}", attribute_text(value).encode())
                for name, value in attributes
            ),
        ],
    )


def from_kafka(message: confluent_kafka.Message) -> Message:
    """What came, with the attributes of an event, if it has any."""
    pairs = cast(list[tuple[str, bytes | None]], message.headers() or [])
    headers = {name: _decoded(value or b"") for name, value in pairs}
    return Message(
        body=message.value() or b"",
        content_type=headers.get(CONTENT_TYPE, ""),
        attributes={
            name.removeprefix(PREFIX): text
            for name, text in headers.items()
            if name.startswith(PREFIX)
        },
        key=_key(message.key() or b""),
    )


def _key(key: bytes) -> str:
    """As text; a key that is none, as a number of eight bytes, in hexadecimal."""
    text = _decoded(key)
    return text if text.isprintable() and text.encode() == key else key.hex()


def _decoded(value: bytes) -> str:
    return value.decode(errors="replace")
