"""One trace from a publish to its attempts, however the subscriber is served."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from router.contract.errors import InvalidEvent
from router.flow.publish.publishing import publish_batch, publish_given
from router.models import EventRecord
from router.public import Event, Reject, publish
from router.testing import deliver_due, skip_waits
from tests.contract import keyed_router
from tests.contract.keyed_router import KeyedRouter
from tests.contract.steps import TYPE, Subscribe, boom, publish_events
from tests.receivers import Declare
from tests.servers.receiving import Receiver, status
from tests.traces import (
    Traces,
    is_child,
    is_linked_root,
    recorded,
    trace_of,
    traceparent_of,
)

PUBLISH = f"publish {TYPE}"
ELSEWHERE = {"is_transactional": False}


@pytest.fixture
def traces() -> Iterator[Traces]:
    with recorded() as traces:
        yield traces


@pytest.mark.parametrize(
    "options", [{}, ELSEWHERE], ids=["in the stream", "row by row"]
)
def test_routing_and_the_first_run_are_children_of_the_publish(
    declare: Declare, traces: Traces, options: dict[str, Any]
) -> None:
    receiver = declare(**options)
    publish_events()

    deliver_due()

    published = traces.one(PUBLISH)
    assert is_child(traces.one(f"route {TYPE}"), published)
    assert is_child(traces.one("process listener"), published)
    assert receiver.seen[0].traceparent == traceparent_of(published)


def test_what_a_handler_publishes_is_a_child_of_its_run(
    declare: Declare, traces: Traces
) -> None:
    declare(behave=lambda event: publish("second.happened", {}))
    publish_events()

    deliver_due()

    run = traces.one("process listener")
    assert is_child(traces.one("publish second.happened"), run)
    assert is_child(
        traces.one("route second.happened"), traces.one("publish second.happened")
    )


def test_a_second_attempt_begins_a_trace_with_a_link(
    declare: Declare, traces: Traces
) -> None:
    declare(behave=boom, **ELSEWHERE)
    publish_events()
    deliver_due()
    skip_waits()
    deliver_due()

    first, second = traces.of("process listener")
    published = traces.one(PUBLISH)
    assert is_child(first, published)
    assert is_linked_root(second, published)


def test_a_late_first_attempt_begins_a_trace_with_a_link(
    declare: Declare, traces: Traces
) -> None:
    declare()
    publish_events()
    event = EventRecord.objects.get()
    EventRecord.objects.update(time=event.time - timedelta(minutes=5))

    deliver_due()

    published = traces.one(PUBLISH)
    assert is_linked_root(traces.one("process listener"), published)
    assert is_linked_root(traces.one(f"route {TYPE}"), published)


def test_a_webhook_carries_the_traceparent_of_its_attempt(
    subscribe: Subscribe, receiver: Receiver, traces: Traces
) -> None:
    answers = [status(500), status(204)]
    receiver.behave = lambda *call: answers.pop(0)(*call)
    subscribe(receiver.url, custom_headers={"Traceparent": "of the subscriber"})
    publish_events()
    deliver_due()
    skip_waits()
    deliver_due()

    first, second = traces.of("POST erp")
    published = traces.one(PUBLISH)
    assert is_child(first, published)
    assert is_linked_root(second, published)
    sent = [each.headers["traceparent"] for each in receiver.received]
    assert sent == [traceparent_of(first), traceparent_of(second)]
    assert traceparent_of(published) in receiver.received[0].body.decode()


def test_an_event_sent_to_a_foreign_router_has_a_span(
    bus: KeyedRouter, traces: Traces
) -> None:
    keyed_router.subscribe("bus")
    publish_events(2)

    deliver_due()

    first, second = traces.of(PUBLISH)
    sent = {trace_of(span): span for span in traces.of("send bus")}
    assert is_child(sent[trace_of(first)], first)
    assert is_child(sent[trace_of(second)], second)


def test_a_call_that_fails_as_a_whole_has_a_span_for_each_of_its_events(
    bus: KeyedRouter, traces: Traces
) -> None:
    keyed_router.subscribe("bus")
    bus.is_down = True
    publish_events(2)

    deliver_due()

    errors = [
        (span.attributes or {}).get("error.type") for span in traces.of("send bus")
    ]
    assert errors == ["Down", "Down"]


def test_without_traces_a_webhook_is_as_it_was(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe(receiver.url)
    publish_events()

    deliver_due()

    assert "traceparent" not in receiver.received[0].headers


def test_events_from_elsewhere_keep_their_trace_and_others_get_one(
    declare: Declare, traces: Traces
) -> None:
    elsewhere = f"00-{'a' * 32}-{'b' * 16}-01"
    entry = {"type": TYPE, "source": "/elsewhere", "data": {}}
    given = {**entry, "id": "1", "traceparent": elsewhere}
    publish_batch([given, {**entry, "id": "2"}])
    publish_given({**entry, "id": "3"})

    events = EventRecord.objects.order_by("number")
    batch, alone = traces.of("publish")
    assert [event.traceparent for event in events] == [
        elsewhere,
        traceparent_of(batch),
        traceparent_of(alone),
    ]


def test_a_notice_is_in_the_trace_of_its_event(
    declare: Declare, traces: Traces
) -> None:
    def refuse(event: Event) -> None:
        raise Reject("never")

    declare(behave=refuse)
    publish_events()

    deliver_due()

    notice = traces.one("publish router.failed_task.opened")
    assert is_child(notice, traces.one(PUBLISH))


def test_a_publish_of_no_valid_event_is_refused_as_without_traces(
    declare: Declare, traces: Traces
) -> None:
    with pytest.raises(InvalidEvent, match="traceparent"):
        publish(TYPE, {}, traceparent="00-nonsense")


def test_traces_cost_no_statement(declare: Declare) -> None:
    declare()
    declare("other", **ELSEWHERE)

    def statements() -> int:
        with CaptureQueriesContext(connection) as seen:
            publish_events(3)
            deliver_due()
        return len(seen)

    # The first time plans and tables are read.
    statements()
    before = statements()
    with recorded() as traces:
        assert statements() == before
    assert len(traces.of("process listener")) == 3


def test_a_run_that_is_rolled_back_has_its_span(
    declare: Declare, traces: Traces
) -> None:
    """The events of a chunk share a transaction: when one fails, its neighbours run
    again."""

    def fail_on_the_second(event: Event) -> None:
        if event.data["n"] == 1:
            boom(event)

    declare(behave=fail_on_the_second)
    publish_events(3)

    deliver_due()

    failed = [
        span
        for span in traces.of("process listener")
        if (span.attributes or {}).get("error.type") == "ValueError"
    ]
    [parent] = {span.parent.span_id for span in failed if span.parent}
    assert parent in {
        span.context.span_id for span in traces.of(PUBLISH) if span.context
    }
