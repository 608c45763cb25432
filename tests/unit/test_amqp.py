"""No event and no message ends a connection to RabbitMQ by its properties."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from aiormq.exceptions import AMQPConnectionError
from pamqp import frame
from pamqp.commands import Basic

# Importing it replaces what pamqp reads messages by.
from router.contract.binding import STRUCTURED_TYPE, Mode
from router.contract.event import Event
from router.transports.amqp import connection
from router.transports.amqp.binding import to_amqp
from router.transports.amqp.decoding import UNREADABLE
from router.transports.amqp.failures import retry_for, unsent_for

assert connection


def header_of(name: str, encoded: bytes) -> Any:
    """The properties of a message that has this one alone."""
    flags = Basic.Properties.flags[name]
    payload = struct.pack(">HHQH", Basic.frame_id, 0, 3, flags) + encoded
    sent = struct.pack(">BHI", 2, 1, len(payload)) + payload + b"\xce"
    return frame.unmarshal(sent)[2].properties


def table(name: bytes, value: bytes) -> bytes:
    entry = bytes([len(name)]) + name + value
    return struct.pack(">I", len(entry)) + entry


@pytest.mark.parametrize(
    ("name", "encoded", "expected"),
    [
        ("message_id", b"\x04id-7", "id-7"),
        ("message_id", b"\x02\xff\xfe", r"\xff\xfe"),
        ("content_type", b"\x01\xff", r"\xff"),
        ("timestamp", struct.pack(">Q", 2**63), None),
        ("timestamp", struct.pack(">Q", 638_000_000_000_000_000), None),
        ("headers", table(b"a", b"T" + struct.pack(">Q", 2**62)), {"a": None}),
        ("headers", table(b"\xff", b"t\x01"), UNREADABLE),
        ("headers", table(b"a", b"Z\x01"), UNREADABLE),
    ],
)
def test_what_is_no_text_or_time_is_read_all_the_same(
    name: str, encoded: bytes, expected: object
) -> None:
    assert getattr(header_of(name, encoded), name) == expected


def test_a_routing_key_that_is_no_text_is_read_all_the_same() -> None:
    delivered = Basic.Deliver("tag", 1, False, "exchange", "key")
    sent = frame.marshal(delivered, 1).replace(b"\x03key", b"\x03k\xffy")
    assert frame.unmarshal(sent)[2].routing_key == r"k\xffy"


@pytest.mark.parametrize(
    ("event_id", "extensions", "is_structured"),
    [
        ("ü" * 255, {}, False),
        ("1", {f"e{n}": "v" * 1000 for n in range(50)}, False),
        ("1", {f"e{n}": "v" * 1000 for n in range(200)}, True),
    ],
)
def test_properties_fit_into_what_rabbitmq_takes(
    event_id: str, extensions: dict[str, str], is_structured: bool
) -> None:
    event = Event(
        id=event_id, source="/shop", type="a.happened", data={"n": 1},
        time=datetime(2026, 11, 29, tzinfo=UTC), extensions=extensions,
    )  # fmt: skip

    message = to_amqp(event, Mode.BINARY)

    assert message.message_id
    assert len(message.message_id.encode()) <= 255
    assert len(message.properties.marshal()) < 131_000
    assert str(message.content_type).startswith(STRUCTURED_TYPE) is is_structured


def test_what_had_no_connection_was_not_sent() -> None:
    error = AMQPConnectionError("Connect call failed")
    assert "is not known" in retry_for(error, 10).evidence.message
    assert unsent_for(error, 10).evidence.message.endswith("Nothing was sent.")
