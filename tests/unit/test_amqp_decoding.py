"""Properties that RabbitMQ accepts and pamqp refuses end no connection."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from pamqp import frame
from pamqp.commands import Basic

# Importing it replaces what pamqp reads messages by.
from router.transports.amqp import connection
from router.transports.amqp.decoding import UNREADABLE

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
