"""`/api/docs/`: the API's description as a page to read."""

from __future__ import annotations

import json
from functools import cache

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.views.decorators.http import require_safe
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.settings import spectacular_settings

from router.api.reference_operations import Reference, read


@require_safe
def api_reference(request: HttpRequest) -> HttpResponse:
    """The same description as `/api/schema/`, in plain HTML; open to everybody."""
    context = {
        "reference": reference(get_language()),
        "host": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "router/api_reference.html", context)


@cache
def reference(language: str | None) -> Reference:
    """Made once for each process and language: nothing in it changes at run time."""
    generator = spectacular_settings.DEFAULT_GENERATOR_CLASS()
    document = generator.get_schema(request=None, public=True)
    return read(json.loads(OpenApiJsonRenderer().render(document)))
