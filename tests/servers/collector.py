"""A collector of traces: OTLP over HTTP, as the programs of a stack send it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)


@dataclass(frozen=True, kw_only=True)
class Collected:
    """One span that arrived; ids in hex, `parent_id` of a root is empty."""

    name: str
    service: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    attributes: dict[str, Any]

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-"


class Collector:
    """Takes spans on a free port until the block ends."""

    def __enter__(self) -> Self:
        self._spans: list[Collected] = []
        self._lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def spans(self) -> list[Collected]:
        with self._lock:
            return list(self._spans)

    def of(self, name: str) -> list[Collected]:
        return [span for span in self.spans if span.name == name]

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces", path
        spans = [*_read(ExportTraceServiceRequest.FromString(body))]
        with self._lock:
            self._spans += spans


def _read(request: Any) -> list[Collected]:
    return [
        Collected(
            name=span.name,
            service=_attributes(resource.resource)["service.name"],
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            links=tuple(link.span_id.hex() for link in span.links),
            attributes=_attributes(span),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _attributes(of: Any) -> dict[str, Any]:
    values = ((each.key, each.value) for each in of.attributes)
    return {key: getattr(value, value.WhichOneof("value")) for key, value in values}
