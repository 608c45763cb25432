"""The modes of the CloudEvents 1.0 HTTP binding: structured, binary, batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cloudevents.core.formats.json import JSONFormat
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from router.api.events.binary_mode import binary_event, has_event_headers
from router.api.http.exceptions import TooLarge
from router.api.http.json_parser import parse_json, refuse_other_charset
from router.api.http.request_body import max_event_body_bytes, read_body
from router.conf import conf
from router.contract.errors import InvalidEvent

#: What every event's own media type begins with (section 3).
OWN_PREFIX = "application/cloudevents"


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
