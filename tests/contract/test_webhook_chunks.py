"""A chunk of webhooks: posted in waves, under one lease, at the pace that was asked."""

from __future__ import annotations

import json
import socket
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from celery.signals import worker_shutting_down
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from router.db.statements import fetched
from router.flow.deliver import claiming, remote
from router.flow.deliver.claiming import claim
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.settling import acknowledge
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.lease import Claim
from router.models import (
    Attempt,
    Delivery,
    Subscriber,
)
from router.testing import deliver_due
from router.transports.webhook.transport import WebhookTransport
from tests.contract.steps import (
    Subscribe,
    mark,
    publish_and_route,
    publish_events,
    states,
)
from tests.servers.receiving import Received, Receiver, status

pytestmark = pytest.mark.one_database


def test_of_a_mixed_chunk_each_gets_its_own_answer(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    def by_number(connection: socket.socket, received: Received) -> None:
        n = json.loads(received.body)["data"]["n"]
        status(400 if n % 3 == 0 else 200)(connection, received)

    receiver.behave = by_number
    subscribe(receiver.url)
    publish_events(9)

    deliver_due()

    assert states() == ["PENDING", "ACKNOWLEDGED", "ACKNOWLEDGED"] * 3
    failed = Delivery.objects.filter(state="PENDING")
    assert {each.failures for each in failed} == {1}


def test_the_statements_of_a_chunk_of_yeses_do_not_grow_with_it(
    subscribe: Subscribe, receiver: Receiver, monkeypatch: Any
) -> None:
    # All answers in one wave, however slow the machine.
    monkeypatch.setattr("router.transports.webhook.transport.WAVE_SECONDS", 5.0)
    row = subscribe(receiver.url)

    def statements(count: int) -> int:
        publish_and_route(count)
        with CaptureQueriesContext(connection) as queries:
            ids = mark(row)
            deliver_chunk(row.pk, ids)
        assert len(ids) == count
        assert set(states()) == {"ACKNOWLEDGED"}
        return len(queries)

    # The first ones of a session set it up.
    statements(1)
    assert statements(40) == statements(1) <= 30


def test_no_transaction_is_open_while_anything_is_posted(
    subscribe: Subscribe, receiver: Receiver, monkeypatch: Any
) -> None:
    was_open: list[bool] = []
    send = WebhookTransport.send

    def look(self: WebhookTransport, letters: Any) -> Any:
        was_open.append(connection.in_atomic_block)
        return send(self, letters)

    monkeypatch.setattr(WebhookTransport, "send", look)
    subscribe(receiver.url)
    publish_events()

    deliver_due()

    assert was_open == [False]


def test_a_lease_lost_in_a_wave_costs_the_others_nothing(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    row = subscribe(receiver.url)
    publish_and_route(5)
    ids = mark(row)

    def take_one_away(connection_: socket.socket, received: Received) -> None:
        Delivery.objects.filter(pk=ids[2]).update(lease_token=uuid.uuid4())
        connection.close()
        status(200)(connection_, received)

    receiver.behave = take_one_away
    deliver_chunk(row.pk, ids)

    assert Delivery.objects.get(pk=ids[2]).state == "LEASED"
    assert sorted(states()) == [*["ACKNOWLEDGED"] * 4, "LEASED"]
    assert Attempt.objects.count() == 4


def test_what_has_no_time_left_in_its_lease_is_given_back_unbegun(
    subscribe: Subscribe, receiver: Receiver, settings: Any
) -> None:
    settings.ROUTER = {**settings.ROUTER, "LEASE_SECONDS": 1.5}
    row = subscribe(receiver.url)
    publish_and_route(3)

    deliver_chunk(row.pk, mark(row))

    assert receiver.received == []
    assert set(Delivery.objects.values_list("state", "attempts")) == {("PENDING", 0)}


def test_a_worker_that_is_asked_to_stop_begins_no_more(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    def stop_the_worker(connection: socket.socket, received: Received) -> None:
        worker_shutting_down.send(sender=None, sig="SIGTERM", how="Warm", exitcode=0)
        status(204)(connection, received)

    receiver.behave = stop_the_worker
    row = subscribe(receiver.url, in_flight_limit=3)
    publish_and_route(3)
    ids = mark(row)
    Subscriber.objects.update(in_flight_limit=1)

    deliver_chunk(row.pk, ids)

    assert len(receiver.received) == 1
    assert sorted(Delivery.objects.values_list("state", "attempts")) == [
        ("ACKNOWLEDGED", 1),
        ("PENDING", 0),
        ("PENDING", 0),
    ]


def test_a_breaker_that_opens_stops_the_rest_of_a_paced_chunk(
    subscribe: Subscribe, receiver: Receiver, settings: Any
) -> None:
    settings.ROUTER = {**settings.ROUTER, "CHUNK_SECONDS": 10, "BREAKER_THRESHOLD": 2}
    receiver.behave = status(500)
    row = subscribe(receiver.url, rate_per_second=1)
    publish_and_route(10)

    deliver_chunk(row.pk, mark(row))

    assert 2 <= len(receiver.received) < 10
    assert set(states()) == {"PENDING"}
    counted = Delivery.objects.filter(attempts__gt=0).count()
    assert counted <= len(receiver.received)


def test_no_more_are_under_way_than_the_subscriber_takes(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    row = subscribe(receiver.url, in_flight_limit=5)
    publish_and_route(20)

    first = mark(row)
    assert len(first) == 5
    assert mark(row) == (), "one message is on its way"
    assert mark_chunk(row) is None, "nor for a dispatcher that looked before"

    held = claim(row.pk, first)
    assert held is not None
    assert mark(row) == (), "all places are taken"
    assert mark_chunk(row) is None

    acknowledge_all(held.only(*held.deliveries[:3]))
    assert len(mark(row)) == 3


def acknowledge_all(held: Claim) -> None:
    with transaction.atomic():
        acknowledge(held, run_ms={})


def test_no_more_chunks_are_under_way_than_the_router_grants(
    subscribe: Subscribe, receiver: Receiver, settings: Any
) -> None:
    settings.ROUTER = {
        **settings.ROUTER,
        "CHUNK_LIMIT": 2,
        "WEBHOOK_CHUNKS_IN_FLIGHT": 3,
    }
    row = subscribe(receiver.url)
    publish_and_route(20)

    for _ in range(3):
        assert claim(row.pk, mark(row)) is not None

    assert mark(row) == ()
    assert mark_chunk(row) is None


def test_a_rate_is_kept_from_chunk_to_chunk(
    subscribe: Subscribe, receiver: Receiver, wait_until: Callable[..., None]
) -> None:
    row = subscribe(receiver.url, rate_per_second=10)
    publish_and_route(6)

    def deliver() -> bool:
        ids = mark(row)
        deliver_chunk(row.pk, ids)
        assert len(ids) <= 2, "a quarter of a second's worth"
        return "PENDING" not in states()

    started_at = time.monotonic()
    wait_until(deliver)

    assert len(receiver.received) == 6
    assert time.monotonic() - started_at >= 4 / 10


def test_two_dispatchers_keep_one_rate(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    row = subscribe(receiver.url, rate_per_second=0.01)
    publish_and_route(3)

    deliver_chunk(row.pk, mark(row))

    assert len(receiver.received) == 1
    assert mark(row) == ()
    assert mark_chunk(row) is None, "though it was due when the other looked"


def test_what_is_pulled_is_not_dispatched_and_no_worker_claims_it(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    row = subscribe(receiver.url, transport="pull")
    publish_events()

    assert deliver_due() == 0
    assert claim(row.pk, [Delivery.objects.get().pk]) is None


@pytest.mark.parametrize("other", ["pull", "handler"])
def test_a_transport_that_changes_after_the_dispatch_is_respected(
    subscribe: Subscribe, receiver: Receiver, other: str
) -> None:
    row = subscribe(receiver.url)
    publish_and_route(2)
    ids = mark(row)

    Subscriber.objects.update(transport=other)
    deliver_chunk(row.pk, ids)

    assert receiver.received == []
    assert set(Delivery.objects.values_list("state", "attempts")) == {("PENDING", 0)}

    Subscriber.objects.update(transport="webhook")
    Delivery.objects.update(dispatched_until=None, due_at=F("created_at"))
    deliver_due()
    assert set(states()) == {"ACKNOWLEDGED"}


def test_a_transport_that_changes_within_the_claim_is_respected(
    subscribe: Subscribe, receiver: Receiver, monkeypatch: Any
) -> None:
    """It was leased as a webhook, and is pulled when the subscriber is read."""
    row = subscribe(receiver.url)
    publish_and_route(1)
    ids = mark(row)
    lease = claiming.read_changed

    def switch_in_the_midst(change: Any, read: Any, beside: Any, **values: Any) -> Any:
        leased, _ = lease(change, read, beside, **values)
        Subscriber.objects.update(transport="pull")
        return leased, fetched(beside.bound(**values))

    monkeypatch.setattr(claiming, "read_changed", switch_in_the_midst)
    deliver_chunk(row.pk, ids)

    assert receiver.received == []
    # Due at once: the puller need not wait.
    assert list(Delivery.objects.due().values_list("attempts")) == [(0,)]


def test_a_claim_reads_all_that_posting_needs_but_secrets(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    row = subscribe(receiver.url)
    publish_and_route(1)
    claimed = claim(row.pk, mark(row))
    assert claimed is not None

    with CaptureQueriesContext(connection) as captured:
        remote._terms(claimed.subscriber, time.monotonic())

    assert len(captured) == 0
