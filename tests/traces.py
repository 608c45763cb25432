"""Traces of a test: recorded in memory, or taken by a collector over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler

from router.tracing import spans
from router.tracing.recorder import Recorder


class Traces:
    """The spans that ended."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def of(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        [span] = self.of(name)
        return span

    def forget(self) -> None:
        self._exporter.clear()


@contextmanager
def recorded(sampler: Sampler | None = None) -> Iterator[Traces]:
    """Meanwhile this process records its spans in memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(
        sampler=sampler or ParentBased(ALWAYS_ON), shutdown_on_exit=False
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    recorder = Recorder(provider, end=provider.force_flush)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "_recorder", recorder)
        yield Traces(exporter)
    provider.shutdown()


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.trace_id


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def traceparent_of(span: ReadableSpan) -> str:
    assert span.context is not None
    ids = f"{span.context.trace_id:032x}-{span.context.span_id:016x}"
    return f"00-{ids}-{span.context.trace_flags:02x}"


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    is_below = span.parent is not None and span.parent.span_id == id_of(parent)
    return is_below and trace_of(span) == trace_of(parent)


def is_linked_root(span: ReadableSpan, other: ReadableSpan) -> bool:
    """Whether it is the root of another trace, with a link to the other."""
    linked = [link.context.span_id for link in span.links]
    is_elsewhere = trace_of(span) != trace_of(other)
    return span.parent is None and is_elsewhere and linked == [id_of(other)]
