"""What the database can't take of an address or a form of the admin.

Django's own admin hands what they say to the database as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.core.exceptions import BadRequest, ValidationError
from django.db import DataError
from django.http import HttpRequest, HttpResponse

logger = logging.getLogger(__name__)


class AdminInputMiddleware:
    """Answers 400 where the database can't take what an address or a form says."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith("/admin/") and _has_null(request):
            raise BadRequest("The address holds a NUL byte.")
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        if request.path.startswith("/admin/") and _is_bad_value(exception):
            logger.warning("Refused: %s", type(exception).__name__)
            raise BadRequest("The address or the form has a value that can't be.")


def _is_bad_value(error: Exception) -> bool:
    is_of_field = isinstance(error, ValueError) and str(error).startswith("Field '")
    return is_of_field or isinstance(error, DataError | OverflowError | ValidationError)


def _has_null(request: HttpRequest) -> bool:
    named = (
        *request.GET,
        *(text for texts in request.GET.lists() for text in texts[1]),
    )
    return "\x00" in request.path or any("\x00" in text for text in named)
