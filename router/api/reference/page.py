"""The API's description: `/api/schema/` for programs, `/api/docs/` to read.

Both are open to everybody and big. Nothing in them changes at run time but the host
that was asked, so each is built once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from hashlib import sha256
from threading import Lock
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.urls import get_script_prefix
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.translation import get_language
from django.views.decorators.http import require_safe
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from router.api.reference.operations import Reference, read

MAX_AGE_SECONDS = 300
#: Host names that are kept: with a wildcard in ALLOWED_HOSTS there is no end of them.
MAX_HOSTS = 16
#: The generator completes tables of its library as it runs: a second beside it fails.
_generating = Lock()


@dataclass(frozen=True)
class Page:
    body: bytes

    @cached_property
    def etag(self) -> str:
        return f'"{sha256(self.body).hexdigest()}"'

    def answer(self, request: HttpRequest, content_type: str) -> HttpResponseBase:
        """The page, or 304 for a client that has it."""
        response = HttpResponse(self.body, content_type=content_type)
        response.headers["ETag"] = self.etag
        patch_cache_control(response, public=True, max_age=MAX_AGE_SECONDS)
        # The stubs allow for a response that was not given.
        return get_conditional_response(request, self.etag, None, response) or response


class DescriptionApi(APIView):
    authentication_classes = ()
    permission_classes = ()
    renderer_classes = (OpenApiJsonRenderer, OpenApiJsonRenderer2)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponseBase:
        server = request.build_absolute_uri(get_script_prefix()).rstrip("/")
        page = _document(get_language(), server)
        return page.answer(request._request, str(request.accepted_media_type))


@require_safe
def api_reference(request: HttpRequest) -> HttpResponseBase:
    """The same description as `/api/schema/`, in plain HTML."""
    host = request.build_absolute_uri("/").rstrip("/")
    return _page(get_language(), host).answer(request, "text/html; charset=utf-8")


@cache
def reference(language: str | None) -> Reference:
    """Read from the description: once for each process and language."""
    return read(json.loads(_text(language)))


@lru_cache(MAX_HOSTS)
def _page(language: str | None, host: str) -> Page:
    context: dict[str, Any] = {"reference": reference(language), "host": host}
    return Page(render_to_string("router/api_reference.html", context).encode())


@lru_cache(MAX_HOSTS)
def _document(language: str | None, server: str) -> Page:
    text = _text(language)
    servers = json.dumps({"servers": [{"url": server}]})
    return Page(f"{servers[:-1]}, {text[1:]}".encode())


def _text(language: str | None) -> str:
    """The description as JSON, without the server that was asked for it."""
    with _generating:
        return _generated(language)


@cache
def _generated(language: str | None) -> str:
    generator = spectacular_settings.DEFAULT_GENERATOR_CLASS()
    document = generator.get_schema(request=None, public=True)
    document.pop("servers", None)
    text: str = OpenApiJsonRenderer().render(document).decode()
    return text
