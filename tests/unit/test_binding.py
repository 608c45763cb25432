"""An event as a message of a foreign router, in both modes, and read back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.contract.binding import Message, Mode, read, written
from router.contract.cloudevents import publish_arguments
from router.contract.data import read as read_data
from router.contract.errors import InvalidEvent
from router.contract.event import Event
from tests.json_values import TEXT, json_values

LATIN = "text/plain; charset=iso-8859-1"
MEDIA = st.sampled_from(
    ["application/json", "application/ld+json", "text/plain", LATIN, "image/png"]
)


def event(**attributes: Any) -> Event:
    attributes = {"id": "1", "source": "/shop", "type": "a.happened", **attributes}
    return Event(time=datetime(2026, 11, 29, tzinfo=UTC), **attributes)


def back(message: Message) -> Event:
    """The event as publishing reads it from the message."""
    arguments = publish_arguments(read(message))
    kind = arguments["datacontenttype"]
    data = arguments.pop("data", None)
    has_data = data is not None or "data" in read(message)
    if isinstance(data, bytes):
        data = read_data(data, kind)
    named = {name: value for name, value in arguments.items() if value or name == "id"}
    named["time"] = datetime.fromisoformat(named["time"])
    return Event(**named, data=data, has_data=has_data)


@given(data=json_values() | TEXT | st.binary(), kind=MEDIA, mode=st.sampled_from(Mode))
def test_every_event_is_the_same_when_it_is_read_back(
    data: Any, kind: str, mode: Mode
) -> None:
    if isinstance(data, bytes):
        data = bytes([0xFF]) + data
        kind = "image/png"
    sent = event(
        data=data, datacontenttype=kind, partitionkey="k", subject="é",
        extensions={"count": 7, "is": True, "tenant": "north"},
    )  # fmt: skip

    message = written(sent, mode)

    assert message.key == "k"
    assert back(message) == sent


@pytest.mark.parametrize(
    ("attributes", "is_binary"),
    [
        ({"data": {"n": 1}}, True),
        ({"data": "text", "datacontenttype": "text/plain"}, True),
        ({"data": b"\xff", "datacontenttype": "image/png"}, True),
        ({"data": None, "has_data": False}, False),
        ({"data": "", "datacontenttype": "text/plain"}, False),
        ({"data": "text", "datacontenttype": "image/png"}, False),
        ({"data": "€", "datacontenttype": LATIN}, False),
    ],
)
def test_what_bytes_can_not_tell_is_written_structured(
    attributes: dict[str, Any], is_binary: bool
) -> None:
    message = written(event(**attributes), Mode.BINARY)

    assert bool(message.attributes) is is_binary
    assert message.content_type.startswith("application/cloudevents") is not is_binary


def test_a_message_without_the_attributes_of_an_event_is_none() -> None:
    assert read(Message(body=b"{}", content_type="application/json")) is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/cloudevents+json"),
        (b"\xff", "application/cloudevents+json"),
        (b"[]", "application/cloudevents-batch+json"),
        (b"x", "application/cloudevents+avro"),
    ],
)
def test_an_event_that_can_not_be_read_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(InvalidEvent):
        read(Message(body=body, content_type=kind))
