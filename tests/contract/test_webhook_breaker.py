"""Whose failure is it, over HTTP: a real receiver, and answers of all kinds."""

from __future__ import annotations

import json
import socket
import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.models import Attempt, BreakerState, Delivery, FailedTask, Subscriber
from router.public import publish
from router.testing import deliver_due, skip_waits
from tests.contract.steps import TYPE, Subscribe, drain, publish_events
from tests.servers.receiving import Received, Receiver, status

pytestmark = pytest.mark.one_database


def number_in(received: Received) -> int:
    n: int = json.loads(received.body)["data"]["n"]
    return n


def test_every_ninth_event_is_refused_and_every_other_one_arrives(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    bad = set(range(0, 180, 9))

    def mixed(connection: socket.socket, received: Received) -> None:
        n = number_in(received)
        code = (422, 500)[n % 2] if n in bad else 204
        status(code)(connection, received)

    receiver.behave = mixed
    subscribe(receiver.url, waits_seconds=[2, 5, 10], max_failures=3)
    publish_events(180)

    drain()

    failed = FailedTask.objects.values_list("event__data__n", flat=True)
    assert set(failed) == bad
    assert Delivery.objects.filter(state="ACKNOWLEDGED").count() == 160


@pytest.mark.parametrize("code", [429, 503])
def test_a_receiver_that_asks_for_time_is_left_alone_until_then(
    subscribe: Subscribe, receiver: Receiver, code: int
) -> None:
    receiver.behave = status(code, "Retry-After: 600")
    row = subscribe(receiver.url, max_failures=1)
    publish_events(3)
    deliver_due()

    asked = Subscriber.objects.get(pk=row.pk)
    assert asked.not_before is not None
    wait = asked.not_before - timezone.now()
    assert timedelta(seconds=590) < wait <= timedelta(seconds=600)
    assert (asked.breaker, asked.ramp) == (BreakerState.DRAINING, 1)
    assert set(Delivery.objects.values_list("state", "failures")) == {("PENDING", 0)}
    assert {attempt.result for attempt in Attempt.objects.all()} == {"UNCOUNTED"}
    # An event that comes meanwhile waits as well.
    publish(TYPE, {"n": 9})
    count = len(receiver.received)
    assert deliver_due() == 0
    assert len(receiver.received) == count

    receiver.behave = status(204)
    skip_waits()
    [due] = subscribers_due()
    chunk = mark_chunk(due)
    assert chunk is not None
    assert len(chunk.ids) == 1
    Delivery.objects.update(dispatched_until=None)
    drain()
    assert Delivery.objects.filter(state="ACKNOWLEDGED").count() == 4


def test_a_retry_after_counts_once_patience_is_over(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    receiver.behave = status(503, "Retry-After: 1")
    subscribe(receiver.url, max_failures=5, waits_seconds=[1])
    publish_events(1)
    deliver_due()
    Delivery.objects.update(failing_since=timezone.now() - timedelta(hours=76))

    skip_waits()
    deliver_due()

    assert Subscriber.objects.get().failed_in_a_row != []


def test_answers_of_one_moment_open_no_breaker_if_one_is_yes(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    """A hundred posts at once, of which ten succeed, are not ninety in a row."""
    everyone = threading.Barrier(40)

    def at_once(connection: socket.socket, received: Received) -> None:
        if not everyone.broken:
            everyone.wait(15)
        code = 204 if number_in(received) % 10 == 0 else 422
        status(code)(connection, received)

    receiver.behave = at_once
    row = subscribe(receiver.url, waits_seconds=[3600])
    publish_events(40)

    deliver_due()

    assert Subscriber.objects.get(pk=row.pk).breaker == BreakerState.CLOSED
    assert Delivery.objects.filter(state="ACKNOWLEDGED").count() == 4
