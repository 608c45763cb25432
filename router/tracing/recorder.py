"""Records spans by the SDK of OpenTelemetry; imported only where traces are asked for.

Names and attributes are those of OpenTelemetry's conventions for messaging and HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind

from router.contract.event import Event
from router.contract.masking import masked
from router.contract.outcomes import Outcome
from router.tracing.describing import (
    is_first_of,
    messaging,
    note_error,
    note_outcome,
    of_request,
    of_subscriber,
    of_type,
)
from router.tracing.places import (
    Place,
    below,
    is_sampled,
    place_at,
    place_of,
    span_of,
    traceparent_of,
)
from router.tracing.span import Owed, Routed, RunTraced, Sent, Span

METHODS = {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
#: The SDK keeps no more.
MAX_LINKS = 128


class Recorder:
    """What `router.tracing.spans` does where traces are recorded.

    `end` sends what is not sent yet.
    """

    def __init__(
        self, provider: trace.TracerProvider, *, end: Callable[[], object]
    ) -> None:
        self._tracer = provider.get_tracer("router")
        self.end = end

    @contextmanager
    def publishing(self, event_type: str, parent: str) -> Iterator[str]:
        if parent and span_of(parent) is None:
            # The event is refused for it.
            yield parent
            return
        name, place = f"publish {event_type}", below(parent) if parent else Place()
        attributes = {**messaging("publish", "send"), **of_type(event_type)}
        with self._at_work(name, SpanKind.PRODUCER, attributes, place) as span:
            yield traceparent_of(span)

    @contextmanager
    def publishing_given(self, entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        given = (span_of(each.get("traceparent")) for each in entries)
        links = [Link(each) for each in given if each is not None][:MAX_LINKS]
        count = {"messaging.batch.message_count": len(entries)}
        attributes, place = (
            {**messaging("publish", "send"), **count},
            Place(links=links),
        )
        with self._at_work("publish", SpanKind.PRODUCER, attributes, place) as span:
            yield traceparent_of(span)

    def note_routed(self, events: Sequence[Routed], began_ns: int) -> None:
        ended_ns = time.time_ns()
        for event in events:
            if is_sampled(event.traceparent):
                attributes = {
                    **messaging("route"),
                    **of_type(event.type),
                    "cloudevents.event_source": event.source,
                    "messaging.message.id": str(event.number),
                }
                self._tracer.start_span(
                    f"route {event.type}",
                    attributes=attributes,
                    start_time=began_ns,
                    **place_at(event.traceparent, event.time, is_first=True),
                ).end(ended_ns)

    def traced_runs(
        self, subscriber: str, run: Callable[[Event], Outcome]
    ) -> RunTraced:
        name, common = f"process {subscriber}", of_subscriber(subscriber)
        common |= messaging("process", "process")

        def run_traced(event: Event, owed: Owed, is_again: bool) -> Outcome:
            is_first = owed.attempts == 1 and not is_again
            number = str(owed.log_ids["event"])
            attributes = {**common, "messaging.message.id": number}
            attributes |= of_type(event.type)
            place = place_of(event, is_first=is_first)
            with self._at_work(name, SpanKind.CONSUMER, attributes, place) as span:
                outcome = run(event)
                note_outcome(span, outcome)
                return outcome

        return run_traced

    @contextmanager
    def posting(self, request: Sent, url: str) -> Iterator[Span]:
        parts = urlsplit(url)
        attributes: dict[str, Any] = {
            **of_request(request),
            "http.request.method": "POST",
            "server.address": parts.hostname or "",
            "url.full": masked(url),
        }
        if parts.port:
            attributes["server.port"] = parts.port
        if request.attempt > 1:
            attributes["http.request.resend_count"] = request.attempt - 1
        place = place_of(request.event, is_first=is_first_of(request))
        name = f"POST {request.subscriber}"
        with self._at_work(name, SpanKind.CLIENT, attributes, place) as span:
            yield Recorded(span)

    def note_sent(
        self,
        requests: Sequence[Sent],
        outcomes: Sequence[Outcome | None],
        began_ns: int,
    ) -> None:
        ended_ns = time.time_ns()
        for request, outcome in zip(requests, outcomes, strict=True):
            span = self._tracer.start_span(
                f"send {request.subscriber}".rstrip(),
                kind=SpanKind.PRODUCER,
                attributes=of_request(request),
                start_time=began_ns,
                **place_of(request.event, is_first=is_first_of(request)),
            )
            note_outcome(span, outcome)
            span.end(ended_ns)

    @contextmanager
    def serving(self, method: str, traceparent: str) -> Iterator[Span]:
        # A client may send any word: names must stay few.
        is_known = method in METHODS
        name = method if is_known else "HTTP"
        attributes = {"http.request.method": method if is_known else "_OTHER"}
        place = below(traceparent)
        with self._at_work(name, SpanKind.SERVER, attributes, place) as span:
            yield Recorded(span, name)

    def current_ids(self) -> Mapping[str, str]:
        context = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        return {
            "trace_id": f"{context.trace_id:032x}",
            "span_id": f"{context.span_id:016x}",
        }

    @contextmanager
    def _at_work(
        self, name: str, kind: SpanKind, attributes: Mapping[str, Any], place: Place
    ) -> Iterator[trace.Span]:
        """A span that is the current one meanwhile.

        The library would keep the message of an exception, which may quote a customer.
        """
        span = self._tracer.start_span(name, kind=kind, attributes=attributes, **place)
        with trace.use_span(
            span,
            end_on_exit=True,
            record_exception=False,
            set_status_on_exception=False,
        ):
            try:
                yield span
            except BaseException as error:
                note_error(span, type(error).__name__)
                raise


class Recorded(Span):
    """A span of the library."""

    def __init__(self, span: trace.Span, name: str = "") -> None:
        self._span = span
        self._name = name
        self.traceparent = traceparent_of(span)

    def answer(self, status: int, route: str) -> None:
        self._span.set_attribute("http.response.status_code", status)
        if route:
            self._span.set_attribute("http.route", route)
            self._span.update_name(f"{self._name} {route}")
        if status >= 500:
            note_error(self._span, str(status))

    def end_in(self, outcome: Outcome | None) -> None:
        note_outcome(self._span, outcome)
