"""What a deleted subscriber was owed is cancelled, to the last row."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router.flow.cancel import cancel_owed_to_deleted
from router.models import DeliveryState, FailedTaskState, Subscriber
from tests.integration.rows import (
    a_delivery,
    a_failed_task,
    a_subscriber,
    an_event,
)

LOCK = "SELECT 1 FROM router_delivery WHERE id = %s FOR UPDATE"


def a_deleted(name: str) -> Subscriber:
    return a_subscriber(name, deleted_at=timezone.now())


def is_finished(subscriber: Subscriber) -> bool:
    subscriber.refresh_from_db()
    return subscriber.cancelled_at is not None


@pytest.mark.usefixtures("empty_router")
def test_whatever_is_open_is_cancelled_and_the_subscriber_is_not_looked_at_again() -> (
    None
):
    gone = a_deleted("gone")
    states = ("PENDING", "LEASED", "DEAD")
    waiting, leased, dead = (a_delivery(an_event(), gone, state) for state in states)
    failed = a_failed_task(dead)

    assert cancel_owed_to_deleted() == 3
    assert not is_finished(gone)
    assert cancel_owed_to_deleted() == 0
    assert is_finished(gone)

    for delivery in (waiting, leased, dead):
        delivery.refresh_from_db()
        assert (delivery.state, delivery.lease_token) == (DeliveryState.CANCELLED, None)
    failed.refresh_from_db()
    assert failed.state == FailedTaskState.DISCARDED
    with CaptureQueriesContext(connection) as captured:
        cancel_owed_to_deleted()
    assert len(captured) == 1


def test_what_a_worker_holds_is_cancelled_when_it_is_free(
    transactional_db: None, empty_router: None
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks no single row")
    gone = a_deleted("gone")
    held = a_delivery(an_event(), gone, "LEASED")
    parameters: Any = connection.get_connection_params()
    with psycopg.connect(**parameters) as worker:
        worker.execute(LOCK, [held.pk])
        assert [cancel_owed_to_deleted() for _ in range(3)] == [0, 0, 0]
        assert not is_finished(gone)

    assert cancel_owed_to_deleted() == 1
    assert cancel_owed_to_deleted() == 0
    assert is_finished(gone)


@pytest.mark.usefixtures("empty_router")
def test_one_statement_finishes_all_that_are_owed_nothing() -> None:
    """As after an upgrade: nobody noted before what had been cancelled."""
    gone = [a_deleted(f"gone-{number}") for number in range(100)]

    with CaptureQueriesContext(connection) as captured:
        cancel_owed_to_deleted()

    assert all(is_finished(each) for each in gone)
    assert len(captured) == 3


@pytest.mark.usefixtures("empty_router")
def test_one_that_is_not_deleted_keeps_what_it_is_owed() -> None:
    owed = a_delivery(an_event(), a_subscriber("known"))

    assert cancel_owed_to_deleted() == 0

    owed.refresh_from_db()
    assert owed.state == DeliveryState.PENDING
