"""How large a request's body may be, by the path; a larger one is refused unread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from router.api.http.request_body import max_body_bytes as max_api_body_bytes

#: The store's forms and the sign-in, with every letter of their fields escaped.
MAX_FORM_BYTES = 32 * 1024


class BodyLimitMiddleware:
    """The API's calls refuse by limits of their own, and in their own shape."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path
        if not is_api(path) and content_length(request.META) > max_body_bytes(path):
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            return render(request, "413.html", status=status)
        return self.get_response(request)


def max_body_bytes(path: str) -> int:
    """How long a body that is sent to this path is at most."""
    if is_api(path):
        return max_api_body_bytes()
    if path.startswith(reverse("admin:index")) and path != reverse("admin:login"):
        return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    return MAX_FORM_BYTES


def content_length(environ: Mapping[str, Any]) -> int:
    """As the client says it; 0 where it says none, or no number."""
    length = str(environ.get("CONTENT_LENGTH") or "")
    # Python converts no more than 4,300 digits; these are enough to be too long.
    digits = length.lstrip("0")[:19] if length.isascii() else ""
    return int(digits) if digits.isdigit() else 0


def is_api(path: str) -> bool:
    return path.startswith("/api/")


def is_portal(path: str) -> bool:
    return path.startswith("/portal/")
