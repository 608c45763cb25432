"""CloudEvents' Kafka binding: attributes are headers of the record."""

from __future__ import annotations

from dataclasses import dataclass

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
