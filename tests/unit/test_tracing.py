"""Spans: below which parent, with which words, and none where none are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from router.contract.event import READ, Event
from router.contract.outcomes import (
    Acknowledged,
    Dead,
    Evidence,
    Exchange,
    Outcome,
    Retry,
)
from router.tracing import spans, switch
from router.tracing.places import CHILD_SECONDS
from router.transports.base import Request
from tests.traces import Traces, id_of, is_child, recorded, trace_of, traceparent_of

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = PARENT[:-2] + "00"
SECRET = "ada@example.com"
URL = "https://user:password@shop.example:8443/hooks?token=s3cret"


@pytest.fixture
def traces() -> Iterator[Traces]:
    with recorded() as traces:
        yield traces


def an_event(traceparent: str = PARENT, *, age: float = 0) -> Event:
    return Event(
        id=SECRET,
        source="/shop",
        type="thing.happened",
        subject=SECRET,
        data={"email": SECRET},
        time=datetime.now(UTC) - timedelta(seconds=age),
        traceparent=traceparent,
    )


@dataclass(frozen=True)
class Owed:
    attempts: int = 1
    log_ids: Mapping[str, int] = field(default_factory=lambda: {"event": 7})


def run(
    event: Event,
    owed: Owed | None = None,
    *,
    outcome: Outcome | None = None,
    is_again: bool = False,
) -> None:
    traced = spans.traced_runs("erp", lambda event: outcome or Acknowledged())
    assert traced is not None
    traced(event, owed or Owed(), is_again)


def post(outcome: Outcome, **fields: Any) -> str:
    request = Request(
        key=1, event=an_event(), webhook_id="msg_1", subscriber="erp", **fields
    )
    with spans.posting(request, URL) as span:
        span.end_in(outcome)
    return span.traceparent


def is_below_parent(span: ReadableSpan) -> bool:
    given = f"{trace_of(span):032x}" == PARENT[3:35]
    return given and span.parent is not None and not span.links


def is_root_with_link(span: ReadableSpan) -> bool:
    [link] = span.links
    is_elsewhere = f"{trace_of(span):032x}" != PARENT[3:35]
    return (
        span.parent is None
        and is_elsewhere
        and (f"{link.context.span_id:016x}" == PARENT[36:52])
    )


def test_a_first_run_soon_after_the_event_is_a_child(traces: Traces) -> None:
    run(an_event(age=CHILD_SECONDS - 30))

    assert is_below_parent(traces.one("process erp"))


@pytest.mark.parametrize(
    ("age", "attempts", "is_again"),
    [
        pytest.param(CHILD_SECONDS + 1, 1, False, id="late"),
        pytest.param(0, 2, False, id="a second attempt"),
        pytest.param(0, 1, True, id="a replay"),
    ],
)
def test_a_later_run_begins_a_trace_with_a_link(
    traces: Traces, age: float, attempts: int, is_again: bool
) -> None:
    run(an_event(age=age), Owed(attempts), is_again=is_again)

    assert is_root_with_link(traces.one("process erp"))


@pytest.mark.parametrize("traceparent", ["", "00-nonsense"])
def test_a_run_for_an_event_without_a_trace_begins_one(
    traces: Traces, traceparent: str
) -> None:
    run(Event.recorded({**an_event().__dict__, "traceparent": traceparent}))

    span = traces.one("process erp")
    assert (span.parent, list(span.links)) == (None, [])


def test_a_time_that_can_not_be_read_stops_no_run(traces: Traces) -> None:
    def read(name: str) -> Any:
        if name == "time":
            raise OverflowError("date value out of range")
        return getattr(an_event(), name)

    event = object.__new__(Event)
    event.__dict__[READ] = read
    run(event)

    assert is_root_with_link(traces.one("process erp"))


def test_what_is_not_sampled_is_not_recorded_and_passed_on_as_such(
    traces: Traces,
) -> None:
    def publish_more(event: Event) -> Outcome:
        with spans.publishing("more") as own:
            assert own[3:35] == PARENT[3:35]
            assert own.endswith("-00")
        return Acknowledged()

    traced = spans.traced_runs("erp", publish_more)
    assert traced is not None
    traced(an_event(UNSAMPLED), Owed(), False)

    assert traces.all == []


def test_a_sampler_that_says_no_is_passed_on() -> None:
    with recorded(ParentBased(ALWAYS_OFF)) as traces, spans.publishing("a") as own:
        # The other bits say how the ids were made.
        assert int(own[-2:], 16) & 1 == 0
    assert traces.all == []


@pytest.mark.parametrize(
    ("outcome", "name", "error"),
    [
        (Acknowledged(), "acknowledged", None),
        (Retry(Evidence("ValueError", SECRET, SECRET)), "retry", "ValueError"),
        (Dead(Evidence("Reject", SECRET)), "dead", "Reject"),
        # Asked to wait: no error.
        (Retry(Evidence("RetryLater", SECRET), is_asked=True), "retry", None),
    ],
)
def test_a_run_has_its_outcome_and_of_an_error_its_kind_alone(
    traces: Traces, outcome: Outcome, name: str, error: str | None
) -> None:
    run(an_event(), outcome=outcome)

    span = traces.one("process erp")
    assert span.attributes is not None
    assert span.attributes["router.outcome"] == name
    assert span.attributes.get("error.type") == error
    assert span.status.status_code == (StatusCode.ERROR if error else StatusCode.UNSET)
    assert span.status.description is None


def test_what_a_handler_raises_is_raised_and_its_words_are_not_kept(
    traces: Traces,
) -> None:
    def fail(event: Event) -> Outcome:
        raise ConnectionError(SECRET)

    traced = spans.traced_runs("erp", fail)
    assert traced is not None
    with pytest.raises(ConnectionError):
        traced(an_event(), Owed(), False)

    span = traces.one("process erp")
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ConnectionError"
    assert SECRET not in span.to_json()


def test_spans_have_names_and_numbers_and_nothing_of_a_customer(
    traces: Traces,
) -> None:
    with spans.publishing("thing.happened", parent=PARENT):
        pass
    with spans.publishing_given([{"id": SECRET, "subject": SECRET}]):
        pass
    run(an_event())
    post(Acknowledged(Exchange(request={"url": URL}, status=200, answer=SECRET)))
    request = Request(key=1, event=an_event(), webhook_id="msg_1", subscriber="bus")
    spans.note_sent([request], [None], began_ns=0)
    with spans.serving("POST", PARENT) as span:
        span.answer(302, "/orders/<uuid:public_id>/")

    kinds = {span.name: span.kind for span in traces.all}
    assert kinds == {
        "publish thing.happened": SpanKind.PRODUCER,
        "publish": SpanKind.PRODUCER,
        "process erp": SpanKind.CONSUMER,
        "POST erp": SpanKind.CLIENT,
        "send bus": SpanKind.PRODUCER,
        "POST /orders/<uuid:public_id>/": SpanKind.SERVER,
    }
    text = "".join(span.to_json() for span in traces.all)
    assert not any(word in text for word in (SECRET, "password", "s3cret"))


def test_a_post_has_the_attributes_of_http_and_of_messaging(traces: Traces) -> None:
    refused = Evidence("HTTP 503", exchange=Exchange(request={}, status=503))
    sent = post(Retry(refused), attempt=3)

    span = traces.one("POST erp")
    assert sent == traceparent_of(span)
    assert dict(span.attributes or {}) == {
        "messaging.system": "fanfare",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "thing.happened",
        "messaging.destination.subscription.name": "erp",
        "messaging.message.id": "msg_1",
        "cloudevents.event_type": "thing.happened",
        "http.request.method": "POST",
        "http.request.resend_count": 2,
        "http.response.status_code": 503,
        "server.address": "shop.example",
        "server.port": 8443,
        "url.full": "https://…@shop.example:8443/hooks?token=…",
        "router.outcome": "retry",
        "error.type": "HTTP 503",
    }


def test_a_publish_is_below_what_is_at_work_or_below_what_it_names(
    traces: Traces,
) -> None:
    with spans.serving("POST", ""), spans.publishing("here"):
        pass
    with spans.serving("GET", ""), spans.publishing("named", parent=PARENT) as own:
        pass

    assert is_child(traces.one("publish here"), traces.one("POST"))
    named = traces.one("publish named")
    assert is_below_parent(named)
    assert own == traceparent_of(named)


def test_a_wrong_traceparent_is_left_for_the_check_of_the_event(
    traces: Traces,
) -> None:
    with spans.publishing("thing.happened", parent="00-nonsense") as own:
        assert own == "00-nonsense"
    assert traces.all == []


def test_a_batch_is_linked_to_what_its_events_come_with(traces: Traces) -> None:
    entry = {"type": "thing.happened", "id": "1", "data": {}}
    given = [{**entry, "traceparent": PARENT}, entry, {**entry, "traceparent": 7}]
    with spans.publishing_given(given) as own:
        pass

    span = traces.one("publish")
    assert own == traceparent_of(span)
    assert [link.context.span_id for link in span.links] == [int(PARENT[36:52], 16)]
    assert (span.attributes or {})["messaging.batch.message_count"] == 3


def test_a_request_is_below_its_client_and_has_its_route(traces: Traces) -> None:
    with spans.serving("POST", PARENT) as span:
        span.answer(503, "/checkout/")

    [served] = traces.all
    assert served.name == "POST /checkout/"
    assert is_below_parent(served)
    assert dict(served.attributes or {}) == {
        "http.request.method": "POST",
        "http.response.status_code": 503,
        "http.route": "/checkout/",
        "error.type": "503",
    }


def test_a_word_of_a_client_is_no_name_of_a_span(traces: Traces) -> None:
    with spans.serving("BREW", "nonsense") as span:
        span.answer(404, "")

    assert [span.name for span in traces.all] == ["HTTP"]


def test_log_lines_have_the_ids_of_the_span_at_work(traces: Traces) -> None:
    assert spans.current_ids() == {}
    with spans.serving("GET", PARENT):
        ids = spans.current_ids()
    [span] = traces.all
    assert ids == {"trace_id": PARENT[3:35], "span_id": f"{id_of(span):016x}"}


@pytest.mark.parametrize(
    ("environment", "is_asked"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "shop"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": " None "}, False),
        # The endpoint is for metrics and logs then.
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "x"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "TRUE"}, False),
    ],
)
def test_the_standard_variables_ask_for_traces(
    environment: dict[str, str], is_asked: bool
) -> None:
    assert switch.is_asked(environment) is is_asked


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({"OTEL_TRACES_EXPORTER": "otlp"}, []),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, ["OTEL_TRACES_EXPORTER"]),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            ["OTEL_EXPORTER_OTLP_PROTOCOL"],
        ),
        # The one of traces goes before the one of all.
        (
            {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            [],
        ),
    ],
)
def test_what_the_exporter_can_not_do_is_named(
    environment: dict[str, str], names: list[str]
) -> None:
    assert [name for name, *_ in switch.unserved(environment)] == names
