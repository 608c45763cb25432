"""The modes of the CloudEvents 1.0 HTTP binding: structured, binary, batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudevents.core.formats.json import JSONFormat
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from router.api.binary_mode import binary_event, has_event_headers
from router.api.refusals import LengthMissing, TooLarge
from router.api.strict_json import parse_json, read_body
from router.conf import conf
from router.contract.errors import InvalidEvent


@dataclass(frozen=True, kw_only=True)
class Sent:
    """The events of a request, each in the JSON format of CloudEvents, unchecked."""

    events: Sequence[Any]
    is_batch: bool = False


class StructuredParser(BaseParser):
    """One event, envelope and data in the body (section 3.2)."""

    media_type = JSONFormat.CONTENT_TYPE

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = read_body(stream, parser_context, most=conf().max_event_bytes)
        return Sent(events=[parse_json(body)])


class BinaryParser(BaseParser):
    """One event, its envelope in headers and its data in the body (section 3.1)."""

    media_type = "application/json"

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        meta = (parser_context or {})["request"].META
        if not has_event_headers(meta):
            told = f"{media_type} is an event only beside the headers ce-*."
            raise UnsupportedMediaType(str(media_type), detail=told)
        body = read_body(stream, parser_context, most=conf().max_event_bytes)
        return Sent(events=[binary_event(meta, body)])


class BatchParser(BaseParser):
    """A list of events (section 3.3)."""

    media_type = "application/cloudevents-batch+json"

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = read_body(stream, parser_context, most=conf().max_batch_bytes)
        events = parse_json(body)
        if not isinstance(events, list):
            told = "must be a list of events"
            raise InvalidEvent(f"A batch {told}.", problems=[("", told)])
        most = conf().max_batch_events
        if len(events) > most:
            raise TooLarge(
                f"The batch has {len(events):,} events; the most is {most:,}."
            )
        return Sent(events=events, is_batch=True)


def sent_events(request: Request) -> Sent:
    """What the request brings. Raises what the parsers do, or `LengthMissing`."""
    length = request.META.get("CONTENT_LENGTH")
    if not length:
        raise LengthMissing("Send the body with a Content-Length, not chunked.")
    # The framework asks no parser for an empty body, which is an event without data.
    if length == "0" and has_event_headers(request.META):
        return Sent(events=[binary_event(request.META, b"")])
    sent: Any = request.data
    return sent if isinstance(sent, Sent) else Sent(events=[sent])
