"""CloudEvents' binding for Pub/Sub, which Google drafted: attributes are attributes of
the message."""

from __future__ import annotations

from hashlib import sha256

from google.pubsub_v1.types import PubsubMessage

from router.contract.binding import Message, Mode, attribute_text, written
from router.contract.event import Event

PREFIX = "ce-"
CONTENT_TYPE = "content-type"
#: What a message may have, in bytes.
MAX_ATTRIBUTES = 100
MAX_NAME_BYTES = 256
MAX_VALUE_BYTES = 1024
MAX_KEY_BYTES = 1024


def to_pubsub(event: Event, mode: Mode) -> PubsubMessage:
    """The event as a message: structured where its attributes do not fit beside it."""
    message = written(event, mode)
    attributes = _attributes(message)
    if not _fit(attributes):
        message = written(event, Mode.STRUCTURED)
        attributes = _attributes(message)
    return PubsubMessage(
        data=message.body, attributes=attributes, ordering_key=_ordering_key(message)
    )


def _attributes(message: Message) -> dict[str, str]:
    return {
        CONTENT_TYPE: message.content_type,
        **{
            f"{PREFIX}{name}": attribute_text(value)
            for name, value in message.attributes.items()
        },
    }


def _fit(attributes: dict[str, str]) -> bool:
    return len(attributes) <= MAX_ATTRIBUTES and all(
        len(name.encode()) <= MAX_NAME_BYTES and len(value.encode()) <= MAX_VALUE_BYTES
        for name, value in attributes.items()
    )


def _ordering_key(message: Message) -> str:
    key = message.key.encode()
    return message.key if len(key) <= MAX_KEY_BYTES else sha256(key).hexdigest()
