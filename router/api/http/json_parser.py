"""JSON bodies: bounded, and as RFC 8259 has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.http import parse_header_parameters
from rest_framework.parsers import BaseParser

from router.api.http.exceptions import Malformed, OtherCharset
from router.api.http.request_body import read_body
from router.conf import conf
from router.contract import json_text

#: And its subset.
UTF_8 = ("utf-8", "utf8", "us-ascii", "ascii")


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
        refuse_other_charset(media_type)
        request = (parser_context or {})["request"]
        body = read_body(request, most=conf().max_event_bytes)
        return parse_json(body) if body.strip() else {}


def refuse_other_charset(media_type: str | None) -> None:
    """Raises `OtherCharset` for what says that it is no UTF-8."""
    _, parameters = parse_header_parameters(media_type or "")
    charset = parameters.get("charset", "utf-8")
    if charset.lower() not in UTF_8:
        raise OtherCharset(charset)


def parse_json(body: bytes, *, pointer: str = "") -> Any:
    """JSON without NaN and infinity, every number exact.

    `pointer` leads to it in what errors point into. Raises `Malformed`, or
    `InvalidEvent` for numbers that would be rounded.
    """
    if not body.strip():
        raise Malformed("The body is empty; send JSON.")
    try:
        return json_text.parse(body.decode("utf-8-sig"), pointer=pointer)
    except RecursionError:
        raise Malformed("The body is nested too deeply; send it flatter.") from None
    except UnicodeDecodeError as error:
        raise Malformed(
            f"The body is not UTF-8: byte {error.start} is "
            f"{error.object[error.start]:#04x}. Send JSON as UTF-8."
        ) from None
    except ValueError as error:
        raise Malformed(f"The body is not JSON: {error}.") from None
