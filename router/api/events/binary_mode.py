"""Binary mode: context attributes in headers (CloudEvents HTTP binding, 3.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from router.api.http.exceptions import Malformed
from router.api.http.json_parser import parse_json
from router.contract.data import BINARY_TYPE, TEXT_TYPE, is_json, read
from router.contract.errors import InvalidEvent

PREFIX = "HTTP_CE_"
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
PRINTABLE = re.compile(r"[\x20-\x7e]*")
STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
ENCODE = "percent-encode the bytes of its UTF-8, as %C3%BC for ü"
#: Told by the body and its Content-Type.
NO_HEADERS = ("data", "data_base64", "datacontenttype")


def has_event_headers(meta: Mapping[str, Any]) -> bool:
    return any(name.startswith(PREFIX) for name in meta)


def binary_event(
    meta: Mapping[str, Any], body: bytes, content_type: str
) -> dict[str, Any]:
    """The event in the JSON format; every attribute is text, as headers are.

    Data that is not JSON is in bytes.

    Raises `InvalidEvent` for a header that can't be decoded, `Malformed` for a body
    that is no JSON.
    """
    values = {
        name.removeprefix(PREFIX).lower(): str(value)
        for name, value in meta.items()
        if name.startswith(PREFIX)
    }
    attributes, problems = {}, []
    for name, value in values.items():
        try:
            attributes[name] = _decoded(value)
        except ValueError as error:
            problems.append((name, str(error)))
        if name in NO_HEADERS:
            problems.append((name, "is the body's, no header"))
    if problems:
        told = "; ".join(f"ce-{name} {detail}" for name, detail in problems)
        pointers = [(f"/{name}", detail) for name, detail in problems]
        raise InvalidEvent(f"This is not an event: {told}.", problems=pointers)
    return {**attributes, **_content(body, content_type)}


def _content(body: bytes, content_type: str) -> dict[str, Any]:
    """The data, which no body has not, and its type.

    Without a Content-Type, as some SDKs send it, it is what it can be read as.
    """
    kind = {"datacontenttype": content_type} if content_type else {}
    if not body:
        return kind
    if is_json(content_type):
        return {**kind, "data": parse_json(body, pointer="/data")}
    return {**kind, "data": body} if kind else _guessed(body)


def _guessed(body: bytes) -> dict[str, Any]:
    try:
        return {"data": parse_json(body, pointer="/data")}
    except Malformed:
        is_text = isinstance(read(body, TEXT_TYPE), str)
        kind = TEXT_TYPE if is_text else BINARY_TYPE
        return {"data": body, "datacontenttype": kind}


def _decoded(value: str) -> str:
    """A header's value without quotes, then percent-decoded once (section 3.1.3.2).

    Quotes are of earlier versions of the binding. Raises `ValueError` that says how to
    encode it.
    """
    if not value:
        # A web server may drop bytes that are not ASCII, and hand over the rest.
        raise ValueError(f"is empty, or is not ASCII: leave it out, or {ENCODE}")
    if not PRINTABLE.fullmatch(value):
        raise ValueError(f"has a character outside of printable ASCII: {ENCODE}")
    quoted = QUOTED.fullmatch(value)
    plain = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else value
    if STRAY_PERCENT.search(plain):
        raise ValueError("has a % that begins no encoded byte: write it as %25")
    try:
        return unquote_to_bytes(plain).decode()
    except UnicodeError:
        raise ValueError(f"has encoded bytes that are not UTF-8: {ENCODE}") from None
