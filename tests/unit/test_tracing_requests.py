"""A request to the site is a span, and what it does is below that span."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import resolve

from config.web.tracing import TracingMiddleware
from router.tracing import spans
from shop.traceparent import traceparent_of
from tests import traces as of
from tests.traces import Traces, recorded

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[Traces]:
    monkeypatch.setattr(spans, "is_on", True)
    with recorded() as traces:
        yield traces


def serve(path: str, *, status: int = 200, **headers: str) -> list[str]:
    """The traceparents that a view reads."""
    read: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        request.resolver_match = resolve(request.path)
        read.append(traceparent_of(request))
        return HttpResponse(status=status)

    request = RequestFactory().get(path, headers=headers)
    # Another middleware has read the headers before.
    assert request.headers.get("X-Request-Id") is None
    TracingMiddleware(view)(request)
    return read


def test_a_view_reads_the_traceparent_of_its_span(traces: Traces) -> None:
    [read] = serve("/basket/", traceparent=PARENT)

    span = traces.one("GET /basket/")
    assert read == of.traceparent_of(span)
    assert read[:36] == PARENT[:36]
    assert read != PARENT


def test_a_request_without_a_trace_begins_one(traces: Traces) -> None:
    [read] = serve("/basket/", status=500)

    span = traces.one("GET /basket/")
    assert span.parent is None
    assert read == of.traceparent_of(span)
    assert (span.attributes or {})["http.response.status_code"] == 500


def test_the_address_of_an_order_is_in_no_span(traces: Traces) -> None:
    secret = "7c1f4c1e3f0a4c0e9a2d5e2f4f7d9c11"
    serve(f"/orders/{secret}/?from={secret}")

    [span] = traces.all
    assert span.name.startswith("GET /orders/<")
    assert secret not in span.to_json()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_what_machines_ask_every_few_seconds_has_no_span(
    traces: Traces, path: str
) -> None:
    assert serve(path, traceparent=PARENT) == [PARENT]
    assert traces.all == []


def test_without_traces_no_request_goes_through_it() -> None:
    with pytest.raises(MiddlewareNotUsed):
        TracingMiddleware(lambda request: HttpResponse())
