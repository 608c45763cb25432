"""Why a call is refused before its work, as exceptions of the framework.

Apart from `problems`, since the parsers of every view are loaded with the first view.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from rest_framework import exceptions

#: What a refusal tells the client to do.
CALLS = "Every call is described at /api/docs/."
KEY = "Send `Authorization: Bearer <API key>`; an operator creates the key."


class Malformed(exceptions.ParseError):
    """The body can't be read at all."""


class TooLarge(exceptions.APIException):
    """The body is too large to be read."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class EncodedBody(exceptions.APIException):
    """The body is compressed: its size is not known before it is unpacked."""

    status_code = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    #: What is taken (RFC 9110, section 15.5.16).
    headers = {"Accept-Encoding": "identity"}

    def __init__(self, coding: str) -> None:
        super().__init__(
            f"The body comes with `Content-Encoding: {coding}`; send it uncompressed, "
            "without this header."
        )


class OtherCharset(exceptions.APIException):
    """JSON in another encoding than UTF-8 (RFC 8259, section 8.1)."""

    status_code = HTTPStatus.UNSUPPORTED_MEDIA_TYPE

    def __init__(self, charset: str) -> None:
        super().__init__(
            f"The Content-Type says charset={charset}; send JSON as UTF-8, and leave "
            "the charset out."
        )


class LengthMissing(exceptions.APIException):
    """The request has no Content-Length and is not chunked, so its body is not read."""

    status_code = HTTPStatus.LENGTH_REQUIRED


class NotBound(exceptions.PermissionDenied):
    """The API key is bound to something else; `problems` point at each part."""

    def __init__(
        self, detail: str, *, problems: Iterable[tuple[str, str]] = ()
    ) -> None:
        super().__init__(detail)
        self.problems = tuple(problems)


class BadQuery(exceptions.ParseError):
    """Query parameters are not as they must be; `problems` point at each."""

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        listed = "; ".join(f"{pointer[1:]} {text}" for pointer, text in self.problems)
        super().__init__(f"The query is not as it must be: {listed}.")
