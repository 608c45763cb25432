"""CloudEvents' binding for Pub/Sub, which Google drafted: attributes are attributes of
the message."""

from __future__ import annotations

from google.pubsub_v1.types import PubsubMessage

from router.contract.binding import Message, Mode, attribute_text, written
from router.contract.event import Event

PREFIX = "ce-"
CONTENT_TYPE = "content-type"
#: Senders may name the data's type so, too.
DATA_TYPE = f"{PREFIX}datacontenttype"
#: What a message may have, in bytes.
MAX_ATTRIBUTES = 100
MAX_NAME_BYTES = 256
MAX_VALUE_BYTES = 1024


def to_pubsub(event: Event, mode: Mode) -> PubsubMessage:
    """The event as a message: structured where its attributes do not fit beside it."""
    message = written(event, mode)
    attributes = _attributes(message)
    if not _fit(attributes):
        message = written(event, Mode.STRUCTURED)
        attributes = _attributes(message)
    # A key of an event is at most 255 characters, which are fewer bytes than the 1,024
    # that an ordering key may have.
    return PubsubMessage(
        data=message.body, attributes=attributes, ordering_key=message.key
    )


def from_pubsub(message: PubsubMessage) -> Message:
    """What came, with the attributes of an event, if it has any."""
    beside = dict(message.attributes)
    data_type = beside.pop(DATA_TYPE, "")
    return Message(
        body=message.data,
        content_type=beside.pop(CONTENT_TYPE, data_type),
        attributes={
            name.removeprefix(PREFIX): value
            for name, value in beside.items()
            if name.startswith(PREFIX)
        },
        key=message.ordering_key,
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
