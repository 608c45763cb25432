"""What a call is refused for before its work, in the framework's own kinds.

Apart from `problems`, since the parsers of every view are loaded with the first view.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from rest_framework import exceptions


class Malformed(exceptions.ParseError):
    """The body can't be read at all."""


class TooLarge(exceptions.APIException):
    """The body is too large to be read."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class LengthMissing(exceptions.APIException):
    """The body's length is not told, and an unknown length is not read."""

    status_code = HTTPStatus.LENGTH_REQUIRED


class NotBound(exceptions.PermissionDenied):
    """The key is bound to something else; `problems` point at what it was not."""

    def __init__(self, detail: str, *, problems: Iterable[tuple[str, str]]) -> None:
        super().__init__(detail)
        self.problems = tuple(problems)


class BadQuery(exceptions.ParseError):
    """Query parameters are not as they must be; `problems` point at each."""

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        told = "; ".join(f"{pointer[1:]} {detail}" for pointer, detail in self.problems)
        super().__init__(f"The query is not as it must be: {told}")
