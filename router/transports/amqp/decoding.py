"""Lets no message that RabbitMQ accepts end the connection that it comes by.

RabbitMQ does not look at what publishers write into properties. Where one is a text
that is no UTF-8, or a time after the year 9999, pamqp raises and the connection ends;
the message comes first again, and its queue stands still.
"""

from __future__ import annotations

from typing import Any

from pamqp import decode
from pamqp.commands import Basic

#: In place of headers that can't be read: an event of no version, which is refused.
UNREADABLE = {"cloudEvents_specversion": "in properties that can't be read"}
TIME_LENGTH = 8

_timestamp = decode.timestamp
_unmarshal = Basic.Properties.unmarshal


def install() -> None:
    """Replace what pamqp reads messages by, in this process."""
    decode.METHODS["shortstr"] = _short_text
    decode.METHODS["timestamp"] = decode.TABLE_MAPPING[b"T"] = _time
    Basic.Properties.unmarshal = _read  # type: ignore[method-assign]


def _short_text(value: bytes) -> tuple[int, str]:
    """Other bytes are written out, so that two ids stay two."""
    end = 1 + value[0]
    return end, value[1:end].decode(errors="backslashreplace")


def _time(value: bytes) -> tuple[int, Any]:
    try:
        return _timestamp(value)
    except (ValueError, OverflowError, OSError):
        return TIME_LENGTH, None


def _read(self: Any, flags: int, data: bytes) -> None:
    try:
        _unmarshal(self, flags, data)
    except Exception:  # noqa: BLE001 - whatever it is, the message is to be kept
        self.headers = dict(UNREADABLE)
