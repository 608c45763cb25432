"""The language of a page: the browser's, where the whole page is translated."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

#: Programs read these, or they are written in English alone.
ENGLISH = (
    "/api/",
    "/docs/",
    "/healthz",
    "/metrics",
    "/readyz",
    settings.STATIC_URL,
)


class LanguageMiddleware:
    """In place of Django's, which would translate the API in part.

    The language ends with the request: the next one on this thread has its own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_translated = not request.path.startswith(ENGLISH)
        language = "en"
        if is_translated:
            language = translation.get_language_from_request(request)
        with translation.override(language):
            request.LANGUAGE_CODE = language
            response = self.get_response(request)
        if response.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Content-Language", language)
            if is_translated:
                patch_vary_headers(response, ["Accept-Language"])
        return response
