"""The modes of the CloudEvents 1.0 HTTP binding: structured, binary, batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from cloudevents.core.formats.json import JSONFormat
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from router.api.http.exceptions import TooLarge
from router.api.http.json_parser import parse_json, refuse_other_charset
from router.api.http.request_body import max_event_body_bytes, read_body
from router.conf import conf
from router.contract.binding import OWN_PREFIX
from router.contract.data import guessed_type, is_json
from router.contract.errors import InvalidEvent

PREFIX = "HTTP_CE_"
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
PRINTABLE = re.compile(r"[\x20-\x7e]*")
STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
ENCODE = "percent-encode the bytes of its UTF-8, as %C3%BC for ü"
#: Told by the body and its Content-Type.
NOT_IN_HEADERS = ("data", "data_base64", "datacontenttype")


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
        if name in NOT_IN_HEADERS:
            problems.append((name, "is the body's, no header"))
    if problems:
        listed = "; ".join(f"ce-{name} {detail}" for name, detail in problems)
        pointers = [(f"/{name}", detail) for name, detail in problems]
        raise InvalidEvent(f"This is not an event: {listed}.", problems=pointers)
    return {**attributes, **_content(body, content_type)}


def _content(body: bytes, content_type: str) -> dict[str, Any]:
    """The data, which no body has not, and its type.

    Without a Content-Type, as some SDKs send it, it is what it can be read as.
    """
    if not body:
        return {"datacontenttype": content_type} if content_type else {}
    kind = content_type or guessed_type(body)
    data = parse_json(body, pointer="/data") if is_json(kind) else body
    return {"datacontenttype": kind, "data": data}


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


@dataclass(frozen=True, kw_only=True)
class Sent:
    """The events of a request, each in the JSON format of CloudEvents, unchecked."""

    events: Sequence[Any]
    is_batch: bool = False


class StructuredParser(BaseParser):
    """Names the media type of one event that is all in the body (section 3.2)."""

    media_type = JSONFormat.CONTENT_TYPE


class BatchParser(BaseParser):
    """Names the media type of a list of events (section 3.3)."""

    media_type = "application/cloudevents-batch+json"


class BinaryParser(BaseParser):
    """Names the media type of data whose envelope is in headers (section 3.1): any."""

    media_type = "*/*"


def sent_events(request: Request) -> Sent:
    """What the request brings. Raises what becomes a 4xx."""
    media_type = request.content_type.partition(";")[0].strip().lower()
    mode = MODES.get(media_type)
    if mode is not None:
        refuse_other_charset(request.content_type)
        return mode(request)
    if media_type.startswith(OWN_PREFIX):
        raise UnsupportedMediaType(media_type)
    if not has_event_headers(request.META):
        body = media_type or "A body without a Content-Type"
        detail = f"{body} is an event only beside the headers ce-*."
        raise UnsupportedMediaType(media_type, detail=detail)
    return _binary(request)


def _structured(request: Request) -> Sent:
    body = read_body(request, most=max_event_body_bytes())
    return Sent(events=[parse_json(body)])


def _binary(request: Request) -> Sent:
    body = read_body(request, most=max_event_body_bytes())
    return Sent(events=[binary_event(request.META, body, request.content_type)])


def _batch(request: Request) -> Sent:
    events = parse_json(read_body(request, most=conf().max_batch_bytes))
    if not isinstance(events, list):
        detail = "must be a list of events"
        raise InvalidEvent(f"A batch {detail}.", problems=[("", detail)])
    most = conf().max_batch_events
    if len(events) > most:
        raise TooLarge(
            f"The batch has {len(events):,} events; the most is {most:,}. Send several."
        )
    return Sent(events=events, is_batch=True)


MODES: dict[str, Callable[[Request], Sent]] = {
    StructuredParser.media_type: _structured,
    BatchParser.media_type: _batch,
}
