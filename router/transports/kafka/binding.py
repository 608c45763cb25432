"""CloudEvents' Kafka binding: attributes are headers of the record."""

from __future__ import annotations

from dataclasses import dataclass

from router.contract.binding import Attribute, Message

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
            *((f"{PREFIX}{name}", _text(value).encode()) for name, value in attributes),
        ],
    )


def _text(value: Attribute) -> str:
    """The canonical text of CloudEvents' type system."""
    return str(value).lower() if isinstance(value, bool) else str(value)
