"""The data of an event: a JSON value, text, bytes, or none at all.

`datacontenttype` says what it is (CloudEvents 1.0, section 3.1). The log keeps all of
it in one JSON column, with the encoding beside it.
"""

from __future__ import annotations

import base64
import binascii
import re
from email.message import Message
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple

from router.contract import json_text
from router.contract.errors import InvalidEvent

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain"
BINARY_TYPE = "application/octet-stream"
MAX_TYPE_LENGTH = 255
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # nosec B105  # of RFC 9110, section 5.6.2
#: RFC 2045, section 5.1, as HTTP writes it; parameters are the publisher's own.
MEDIA_TYPE = re.compile(rf"({_TOKEN}/{_TOKEN})[ \t]*(;[\t\x20-\x7e]*)?")
JSON_MEDIA_TYPE = re.compile(r".+/(.+\+)?json", re.IGNORECASE)
TEXT_MEDIA_TYPE = re.compile(r"text/.+|.+/(.+\+)?xml", re.IGNORECASE)
#: Python knows codecs that take for ever, and some that are no charset at all.
CHARSETS = {
    **dict.fromkeys(("utf-8", "utf8"), "utf-8"),
    **dict.fromkeys(("us-ascii", "ascii"), "ascii"),
    **dict.fromkeys(("iso-8859-1", "latin1"), "latin-1"),
}
#: Floats that PostgreSQL writes in another way, outside a string: those with an
#: exponent, and -0.0.
REWRITTEN = re.compile(r"(?:^|[\[:,])(?:-?\d+(?:\.\d+)?e[+-]|-0\.0(?!\d))")


class NoData(Enum):
    """An event without data, which is not one whose data is null."""

    NO_DATA = "no data"


NO_DATA: Final = NoData.NO_DATA


class DataEncoding(StrEnum):
    """How the column `data` has the data of an event."""

    #: The value itself.
    VALUE = ""
    #: A string of JSON text: PostgreSQL writes 1e+300 out, with all its zeros, and -0.0
    #: without its sign.
    JSON = "json"
    BASE64 = "base64"
    NONE = "none"


class Packed(NamedTuple):
    """Data as the log keeps it; `size_bytes` is what it has in UTF-8."""

    text: str
    encoding: DataEncoding
    size_bytes: int


def is_json(datacontenttype: str) -> bool:
    """Whether data of this type is JSON: `application/json`, `application/ld+json`."""
    return datacontenttype == JSON_TYPE or _is(JSON_MEDIA_TYPE, datacontenttype)


def type_problem(datacontenttype: object) -> str | None:
    """Why this is no media type, or None when it is one."""
    if datacontenttype == JSON_TYPE:
        return None
    if not isinstance(datacontenttype, str):
        return "must be text"
    if len(datacontenttype) > MAX_TYPE_LENGTH:
        return f"is longer than {MAX_TYPE_LENGTH} characters"
    if not MEDIA_TYPE.fullmatch(datacontenttype):
        return "must be a media type such as `application/json` or `text/plain`"
    return None


def read(body: bytes, datacontenttype: str) -> Any:
    """Bytes as data of their type: a JSON value, text, or the bytes themselves.

    Text is what encodes to the same bytes again. Raises `InvalidEvent` for a JSON type
    whose bytes are not JSON.
    """
    charset = _charset(datacontenttype)
    if is_json(datacontenttype):
        return _json(body, "utf-8-sig" if charset == "utf-8" else charset)
    if charset is None or not _is(TEXT_MEDIA_TYPE, datacontenttype):
        return body
    try:
        text = body.decode(charset)
    except UnicodeDecodeError:
        return body
    # No database keeps U+0000 in a text.
    return body if "\x00" in text else text


def guessed_type(body: bytes) -> str:
    """The type of a body that comes without one: what it can be read as."""
    try:
        json_text.parse(body.decode("utf-8-sig"))
    except InvalidEvent:
        # It is JSON, whose reader will say what is wrong with it.
        return JSON_TYPE
    except (ValueError, RecursionError):
        is_text = isinstance(read(body, TEXT_TYPE), str)
        return TEXT_TYPE if is_text else BINARY_TYPE
    return JSON_TYPE


def written(data: Any, datacontenttype: str) -> bytes | None:
    """The data as bytes of its type, as `read` reads them back; None where none do."""
    if isinstance(data, bytes):
        return data
    charset = _charset(datacontenttype)
    if is_json(datacontenttype):
        return json_text.dumped(data).encode() if charset == "utf-8" else None
    if not isinstance(data, str) or charset is None:
        return None
    body = data.encode(charset, errors="replace")
    return body if read(body, datacontenttype) == data else None


def read_base64(text: object) -> bytes:
    """The bytes of `data_base64`. Raises `InvalidEvent`."""
    try:
        if isinstance(text, str):
            data = base64.b64decode(text, validate=True)
            # Python takes too much padding too, and bits that belong to no byte.
            if base64.b64encode(data).decode() == text:
                return data
    except (binascii.Error, ValueError):
        pass
    detail = "must be text in base64 (RFC 4648, section 4), padded, without line breaks"
    raise InvalidEvent(f"data_base64 {detail}.", problems=[("/data_base64", detail)])


def members(data: Any, *, has_data: bool) -> dict[str, Any]:
    """How CloudEvents' JSON format has the data (section 3.1)."""
    if not has_data:
        return {}
    if isinstance(data, bytes):
        return {"data_base64": base64.b64encode(data).decode()}
    return {"data": data}


def pack(data: Any, *, has_data: bool, is_plain_text: bool = False) -> Packed:
    """The data as the log keeps it.

    The size of plain text is that of the text, without the escapes of JSON.
    """
    if not has_data:
        return Packed("null", DataEncoding.NONE, 0)
    if isinstance(data, bytes):
        text = base64.b64encode(data).decode()
        return Packed(f'"{text}"', DataEncoding.BASE64, len(data))
    text = json_text.canonical(data)
    size_bytes = len((data if is_plain_text else text).encode())
    if REWRITTEN.search(text):
        return Packed(json_text.canonical(text), DataEncoding.JSON, size_bytes)
    return Packed(text, DataEncoding.VALUE, size_bytes)


def unpack(stored: Any, encoding: str) -> tuple[Any, bool]:
    """The data of what the log keeps, and whether there is any."""
    if encoding == DataEncoding.JSON:
        return json_text.parse(stored), True
    if encoding == DataEncoding.BASE64:
        return base64.b64decode(stored), True
    return stored, encoding != DataEncoding.NONE


def _is(kind: re.Pattern[str], datacontenttype: str) -> bool:
    media = MEDIA_TYPE.fullmatch(datacontenttype)
    return media is not None and kind.fullmatch(media[1]) is not None


def _charset(datacontenttype: str) -> str | None:
    """Python's name of the charset; None for one that is not read here."""
    message = Message()
    message["content-type"] = datacontenttype
    return CHARSETS.get(message.get_content_charset("utf-8"))


def _json(body: bytes, charset: str | None) -> Any:
    if charset is None:
        detail = "must not name another charset: send JSON as UTF-8"
        raise InvalidEvent(
            f"datacontenttype {detail}.", problems=[("/datacontenttype", detail)]
        )
    try:
        return json_text.parse(body.decode(charset), pointer="/data")
    except RecursionError:
        detail = "is nested too deeply"
    except ValueError as error:
        detail = f"is not JSON, as its type says: {error}"
    raise InvalidEvent(f"The data {detail}.", problems=[("/data", detail)])
