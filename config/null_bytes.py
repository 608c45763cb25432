"""No address of ours holds a NUL, and PostgreSQL refuses it in every text.

Django's own admin hands what a filter's address says to the database as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse


class NullByteMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith("/admin/") and _has_null(request):
            raise BadRequest("The address holds a NUL byte.")
        return self.get_response(request)


def _has_null(request: HttpRequest) -> bool:
    named = (
        *request.GET,
        *(text for texts in request.GET.lists() for text in texts[1]),
    )
    return "\x00" in request.path or any("\x00" in text for text in named)
