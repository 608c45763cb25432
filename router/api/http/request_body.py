"""Request bodies, bounded, with a Content-Length or chunked."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request

from router.api.http.exceptions import LengthMissing, Malformed, TooLarge
from router.conf import conf

#: Escapes of JSON take up to six bytes for one; the event itself is measured when it is
#: read.
ESCAPED = 6
#: Of an event's attributes, and of spaces.
ENVELOPE_BYTES = 64 * 1024


def max_event_body_bytes() -> int:
    """How long a body is at most that has one event, escaped as a client likes."""
    return ESCAPED * conf().max_event_bytes + ENVELOPE_BYTES


def max_body_bytes() -> int:
    """How long the body of any call is at most."""
    return max(conf().max_batch_bytes, max_event_body_bytes())


def measure_chunks(request: HttpRequest) -> None:
    """Read a body that has no Content-Length, and hand it to Django with its length.

    Django reads no more than Content-Length says, and takes a chunked body for empty.
    One byte more than any call takes is enough to be refused.
    """
    is_unmeasured = not request.META.get("CONTENT_LENGTH")
    if is_unmeasured and request.META.get("wsgi.input_terminated"):
        body = _read(request.META["wsgi.input"], max_body_bytes() + 1)
        request.META["CONTENT_LENGTH"] = str(len(body))
        request._stream = BytesIO(body)


def read_body(request: Request, *, most: int) -> bytes:
    """The body, and never more of it than `most` bytes.

    Raises `TooLarge`, `LengthMissing` where its end can't be known, or `Malformed`
    where the client went away before it.
    """
    length = request.META.get("CONTENT_LENGTH")
    if not length:
        # Then there is none, unless it is chunked (RFC 9112, section 6.3).
        if "HTTP_TRANSFER_ENCODING" not in request.META:
            return b""
        raise LengthMissing("Send the body with a Content-Length, not chunked.")
    if int(length) > most:
        raise TooLarge(f"The body is larger than {most:,} bytes.")
    body: bytes = request._request.read(most)
    if len(body) < int(length):
        raise Malformed(
            f"The body ended before its Content-Length: {len(body):,} of "
            f"{int(length):,} bytes came. Send the call again."
        )
    return body


def _read(stream: Any, most: int) -> bytes:
    body = bytearray()
    while len(body) < most and (part := stream.read(most - len(body))):
        body += part
    return bytes(body)
