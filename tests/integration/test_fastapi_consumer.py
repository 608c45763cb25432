"""The service of the examples that pulls from the beginning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from router.contract.errors import NotResendable
from router.models import EventRecord, Subscriber
from router.operate.resend import resend_event
from router.public import publish
from router.testing import deliver_due
from tests.acceptance.examples import service
from tests.acceptance.purchases import purchase
from tests.integration.apart import Apart
from tests.servers.waiting import wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.usefixtures("transactional_db", "empty_router"),
]
SUBSCRIBER = {"name": "analytics", "transport": "pull", "events": ["purchase.*"]}


@pytest.fixture
def consumer(tmp_path: Path, live_server: Any, api_key: str) -> Apart:
    return Apart(
        "fastapi_consumer", tmp_path, ROUTER_URL=live_server.url, ROUTER_KEY=api_key
    )


def buy(order_id: str, country: str = "DE") -> None:
    event = purchase(order_id)
    event["data"]["shipping_address"]["country"] = country
    names = ("id", "source", "subject", "partitionkey", "dataschema")
    publish(event["type"], event["data"], **{name: event[name] for name in names})
    deliver_due()


def orders(consumer: Apart) -> dict[str, int]:
    """Country → how many."""
    rows = consumer.call("GET", "/sales")[1]
    return {row["country"]: row["orders"] for row in rows}


def test_it_counts_history_and_live_events_once_each(
    consumer: Apart, tmp_path: Path, call: Any
) -> None:
    buy("1001")
    buy("1002", "FR")
    created = call("POST", "subscribers/", {**SUBSCRIBER, "from": "beginning"})

    with service(consumer.program, tmp_path, **consumer.environment) as running:
        deliver_due()
        wait_until(lambda: orders(consumer) == {"DE": 1, "FR": 1})
        buy("1003")
        wait_until(lambda: orders(consumer) == {"DE": 2, "FR": 1})
        first = EventRecord.objects.get(event_id="purchase-1001")
        wait_until(lambda: _resent(first))
        deliver_due()
        running.wait_for_log("purchase-1001 known already")
        assert consumer.call("GET", "/healthz") == (200, {"consumes": True})
        sales = consumer.call("GET", "/sales")[1]

    assert created.status_code == 201
    assert sales[0] == {
        "day": "2026-01-02",
        "country": "DE",
        "currency": "EUR",
        "orders": 2,
        "total_minor": 3940,
    }


def _resent(event: EventRecord) -> bool:
    """Its acknowledgement may still be on its way."""
    subscriber = Subscriber.objects.get(name="analytics")
    try:
        resend_event(event.pk, subscriber.pk, by="test")
    except NotResendable:
        return False
    return True


def test_a_service_that_the_router_refuses_says_so(
    consumer: Apart, tmp_path: Path
) -> None:
    """There is no such subscriber."""
    with service(consumer.program, tmp_path, **consumer.environment) as running:
        running.wait_for_log("The router refused")
        wait_until(lambda: consumer.call("GET", "/healthz")[0] == 503)
