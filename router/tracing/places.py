"""Where a span is: below a parent, or the root of a trace of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from django.utils import timezone
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, TraceFlags

from router.contract.attributes import TRACEPARENT
from router.contract.event import Event

#: A first attempt so soon after the event's time is a child of its publish span.
#: Backends close a trace by then, so that a later one begins a trace of its own.
CHILD_SECONDS = 60.0


class Place(TypedDict, total=False):
    """Where a span is: below a parent, or a root with a link."""

    context: Context
    links: Sequence[Link]


def span_of(traceparent: object) -> SpanContext | None:
    if not (isinstance(traceparent, str) and TRACEPARENT.fullmatch(traceparent)):
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16))
    )


def traceparent_of(span: trace.Span) -> str:
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    ids = f"{context.trace_id:032x}-{context.span_id:016x}"
    return f"00-{ids}-{context.trace_flags:02x}"


def is_sampled(traceparent: str) -> bool:
    return traceparent[-1:] in set("13579bdf")


def below(traceparent: str) -> Place:
    """A child of the span that this names; a root where it names none."""
    parent = span_of(traceparent)
    if parent is None:
        return {"context": Context()}
    span = trace.NonRecordingSpan(parent)
    return {"context": trace.set_span_in_context(span, Context())}


def place_of(event: Event, *, is_first: bool) -> Place:
    try:
        return place_at(event.traceparent, event.time, is_first=is_first)
    except (ValueError, OverflowError):
        # A time of the log that Python can't read: its handler may not look at it.
        return place_at(event.traceparent, None, is_first=is_first)


def place_at(traceparent: str, at: datetime | None, *, is_first: bool) -> Place:
    """Of an attempt at an event: a first one soon after it is a child of its publish
    span, a later one a root that is linked to it."""
    if is_first and _is_recent(at):
        return below(traceparent)
    parent = span_of(traceparent)
    return {"context": Context(), "links": [Link(parent)] if parent else []}


def _is_recent(at: datetime | None) -> bool:
    return at is not None and (timezone.now() - at).total_seconds() < CHILD_SECONDS
