"""One purchase, one trace: from the browser's request to the webhook's receiver."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import pytest

from tests.acceptance.customer import Customer
from tests.acceptance.examples import subscribed
from tests.acceptance.purchases import SIX
from tests.servers.collector import Collected, Collector
from tests.servers.receiving import Receiver
from tests.servers.stack import Stack, running
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.long

ORDER_TYPE = "purchase.completed"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> Iterator[Stack]:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    with running(tmp_path_factory.mktemp("traced"), **environment) as stack:
        yield stack


def webhook(stack: Stack, url: str) -> tuple[str, dict[str, object]]:
    key = stack.manage("create_api_key", "traces", "--scopes", "manage").strip()
    body = {"name": "erp", "transport": "webhook", "url": url, "events": [ORDER_TYPE]}
    return key, body


def test_a_purchase_is_one_trace_to_the_last_receiver(
    stack: Stack, collector: Collector
) -> None:
    with Receiver() as receiver, subscribed(stack, *webhook(stack, receiver.url)):
        order = Customer(stack.url).buy()
        wait_until(lambda: len(receiver.received) == 1)

        def spans() -> list[Collected]:
            """Of the purchase."""
            published = collector.of(f"publish {ORDER_TYPE}")
            ids = {span.trace_id for span in published}
            return [span for span in collector.spans if span.trace_id in ids]

        # The request, publish, route, six handlers and a webhook.
        wait_until(lambda: {"POST erp", "POST /checkout/"} <= names(spans()))
        wait_until(lambda: {f"process {name}" for name in SIX} <= names(spans()))

    of = {span.name: span for span in spans()}
    published = of[f"publish {ORDER_TYPE}"]
    assert of["POST /checkout/"].parent_id == ""
    assert published.parent_id == of["POST /checkout/"].span_id
    below = {f"route {ORDER_TYPE}", "POST erp", *(f"process {name}" for name in SIX)}
    assert {of[name].parent_id for name in below} == {published.span_id}
    [received] = receiver.received
    assert received.headers["traceparent"].startswith(of["POST erp"].traceparent)
    text = json.dumps([span.attributes for span in collector.spans])
    assert not any(word in text for word in (order, "Ada", "ada@example.com"))


def names(spans: list[Collected]) -> set[str]:
    return {span.name for span in spans}


def test_a_browsers_own_trace_is_gone_on_with(
    stack: Stack, collector: Collector
) -> None:
    trace_id, span_id = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    headers = {"traceparent": f"00-{trace_id}-{span_id}-01"}
    urllib.request.urlopen(urllib.request.Request(stack.url, headers=headers)).close()

    def found() -> list[Collected]:
        return [span for span in collector.of("GET /") if span.trace_id == trace_id]

    wait_until(lambda: len(found()) == 1)
    [span] = found()
    assert span.parent_id == span_id


def test_a_stop_sends_what_was_not_sent(stack: Stack, collector: Collector) -> None:
    """The last of the module: it ends the stack."""
    before = len(collector.of("GET /"))
    Customer(stack.url).look("/")

    assert stack.stop() == 0, stack.log_text()

    assert len(collector.of("GET /")) == before + 1
    assert "export" not in stack.log_text()
