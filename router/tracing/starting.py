"""Begins OpenTelemetry's library in this process, and ends it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.util import Finalize

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from router.tracing.recorder import Recorder

TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
#: For one batch, where no variable has another: a collector that does not answer holds
#: up the end of a process.
EXPORT_SECONDS = 3.0
#: When a process ends, no batch begins later than this.
END_SECONDS = 2.0


with suppress(ImportError):
    # The exporter imports it when it is made, in the first task of a pool's child.
    import_module("requests")


class Exporter(OTLPSpanExporter):
    """One that gives up soon when its process ends."""

    ends_at = float("inf")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if time.monotonic() > self.ends_at:
            return SpanExportResult.FAILURE
        return super().export(spans)


def start() -> Recorder:
    """A recorder to the project's own provider; without one, to the collector that
    the variables of OpenTelemetry name."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        return Recorder(provider, end=provider.force_flush)
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    is_patient = any(map(os.environ.get, TIMEOUTS))
    exporter = Exporter(timeout=None if is_patient else EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

    def end() -> None:
        exporter.ends_at = time.monotonic() + END_SECONDS
        provider.shutdown()

    # What `atexit` has, a web process does not run: it is a fork of Granian's.
    Finalize(None, end, exitpriority=0)
    return Recorder(provider, end=end)


def _resource() -> Resource:
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return resource.merge(Resource({SERVICE_NAME: "fanfare"}))
    return resource
