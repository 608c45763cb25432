"""Request bodies, bounded, with a Content-Length or chunked."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from io import BytesIO
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request

from router.api.refusals import LengthMissing, TooLarge
from router.conf import conf

View = Callable[..., HttpResponseBase]


def takes_chunks(view: View) -> View:
    """The view, for bodies without a Content-Length too: chunked, or over HTTP/2.

    Django reads no more than Content-Length says, and takes such a body for empty.
    """

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        is_unmeasured = not request.META.get("CONTENT_LENGTH")
        if is_unmeasured and request.META.get("wsgi.input_terminated"):
            _measure(request)
        return view(request, *args, **kwargs)

    return wrapper


def read_body(request: Request, *, most: int) -> bytes:
    """The body, and never more of it than `most` bytes.

    Raises `TooLarge`, or `LengthMissing` where its end can't be known.
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
    return body


def _measure(request: HttpRequest) -> None:
    """Read the body, and hand it to Django with the length that it has.

    One byte more than any call takes is enough to be refused.
    """
    body = _read(request.META["wsgi.input"], conf().max_batch_bytes + 1)
    request.META["CONTENT_LENGTH"] = str(len(body))
    request._stream = BytesIO(body)


def _read(stream: Any, most: int) -> bytes:
    body = bytearray()
    while len(body) < most and (part := stream.read(most - len(body))):
        body += part
    return bytes(body)
