"""Each request is a span, where traces are recorded.

The library's own middleware keeps the path, the query and the client's address. Here
the path of an order is the key to it, so that a span has the pattern of the path alone.
"""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

from router.tracing import spans

#: Asked every few seconds by machines.
UNTRACED = {"/healthz", "/readyz", "/metrics"}
TRACEPARENT = "HTTP_TRACEPARENT"


class TracingMiddleware:
    """What the request does reads this span's `traceparent` from its header, in place
    of the client's, which is the parent."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not spans.is_on:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path in UNTRACED:
            return self.get_response(request)
        given = request.META.get(TRACEPARENT, "")
        with spans.serving(request.method or "", given) as span:
            if span.traceparent:
                request.META[TRACEPARENT] = span.traceparent
                # Django keeps the headers as they were when they were first read.
                vars(request).pop("headers", None)
            response = self.get_response(request)
            match = request.resolver_match
            span.answer(response.status_code, f"/{match.route}" if match else "")
        return response
