"""What Prometheus scrapes: for clients that have the token, and for all in debug."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from router.conf import conf

#: By name: the dispatcher reads all views as it checks the site, and needs no
#: `prometheus_client`.
EXPOSITION = "router.observe.metrics.exposition"


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics as text; 401 or 403 for clients that may not read them."""
    refusal = _refusal(request)
    if refusal is not None:
        return refusal
    exposition: Any = import_string(EXPOSITION)
    try:
        body, content_type = exposition(request.headers.get("Accept", ""))
    except DatabaseError:
        return _text(HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer.")
    return HttpResponse(body, content_type=content_type)


def _refusal(request: HttpRequest) -> HttpResponse | None:
    token = conf().metrics_token
    if not token:
        closed = "The metrics are closed. Set METRICS_TOKEN to a long random text."
        return None if settings.DEBUG else _text(HTTPStatus.FORBIDDEN, closed)
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and constant_time_compare(given.strip(), token):
        return None
    wrong = "Send METRICS_TOKEN: Authorization: Bearer <token>."
    answer = _text(HTTPStatus.UNAUTHORIZED, wrong)
    answer["WWW-Authenticate"] = 'Bearer realm="metrics"'
    return answer


def _text(status: HTTPStatus, sentence: str) -> HttpResponse:
    plain = "text/plain; charset=utf-8"
    return HttpResponse(f"{sentence}\n", status=status, content_type=plain)
