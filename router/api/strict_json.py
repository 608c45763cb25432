"""JSON bodies: bounded, and as RFC 8259 has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from rest_framework.parsers import BaseParser

from router.api.refusals import Malformed, TooLarge
from router.conf import conf


class StrictJSONParser(BaseParser):
    """The framework's own would read a body of any size, and fail on a deep one.

    No body at all is an empty object.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = read_body(stream, parser_context, most=conf().max_event_bytes)
        return parse_json(body) if body.strip() else {}


def read_body(
    stream: Any, parser_context: Mapping[str, Any] | None, *, most: int
) -> bytes:
    """The body, and never more of it than `most` bytes. Raises `TooLarge`."""
    meta = (parser_context or {})["request"].META
    if int(meta.get("CONTENT_LENGTH") or 0) > most:
        raise TooLarge(f"The body is larger than {most:,} bytes.")
    body: bytes = stream.read(most)
    return body


def parse_json(body: bytes) -> Any:
    """JSON without NaN and infinity. Raises `Malformed`."""
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    except RecursionError:
        raise Malformed("The body is nested too deeply.") from None
    except ValueError as error:
        raise Malformed(f"The body is not JSON: {error}.") from None


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not allowed")
