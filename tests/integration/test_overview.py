from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router import registry
from router.models import FailedTaskState, SubscriberState
from router.observe import overview
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event

pytestmark = pytest.mark.usefixtures("empty_router")


@pytest.fixture
def declared(empty_router: None) -> str:
    registry.subscriber("overview_declared", events=["purchase.completed"])(repr)
    return "overview_declared"


def statements_of_overview() -> int:
    with CaptureQueriesContext(connection) as queries:
        overview.subscribers_overview()
    return len(queries)


def test_each_state_is_counted_for_its_own_subscriber() -> None:
    mail, stock = a_subscriber("mail"), a_subscriber("stock")
    hour_ago = timezone.now() - timedelta(hours=1)
    a_delivery(an_event(), mail, created_at=hour_ago)
    a_delivery(an_event(), mail, failures=2)
    a_delivery(an_event(), mail, "LEASED")
    a_delivery(an_event(), mail, "ACKNOWLEDGED")
    a_failed_task(a_delivery(an_event(), mail, "DEAD"))
    a_failed_task(a_delivery(an_event(), mail, "DEAD"), state=FailedTaskState.DISCARDED)
    of_mail, of_stock = overview.subscribers_overview()
    assert (of_mail.subscriber, of_stock.subscriber) == (mail, stock)
    assert (of_mail.waiting, of_mail.working, of_mail.retrying) == (2, 1, 1)
    assert of_mail.oldest_waiting_at == hour_ago
    assert of_mail.open_failed == 1
    assert (of_stock.waiting, of_stock.working, of_stock.open_failed) == (0, 0, 0)
    assert of_stock.oldest_waiting_at is None


def test_the_statements_grow_neither_with_subscribers_nor_with_deliveries() -> None:
    before = statements_of_overview()
    for number in range(5):
        subscriber = a_subscriber(f"subscriber_{number}")
        for state in ("PENDING", "LEASED", "ACKNOWLEDGED", "DEAD"):
            a_delivery(an_event(), subscriber, state)
    assert statements_of_overview() == before


def test_a_deleted_subscriber_is_not_shown() -> None:
    a_subscriber("gone", deleted_at=timezone.now())
    a_subscriber("held", state=SubscriberState.PAUSED)
    assert [each.subscriber.name for each in overview.subscribers_overview()] == [
        "held"
    ]


def test_a_subscriber_whose_code_is_gone_is_marked(declared: str) -> None:
    a_subscriber(declared)
    a_subscriber("overview_renamed")
    missing = {
        each.subscriber.name: each.is_handler_missing
        for each in overview.subscribers_overview()
    }
    assert missing == {declared: False, "overview_renamed": True}


def test_counts_of_the_whole_router_see_only_what_is_open() -> None:
    an_event(is_routed=False)
    delivery = a_delivery(an_event(), a_subscriber("mail"), "DEAD")
    a_failed_task(delivery)
    a_failed_task(delivery, state=FailedTaskState.RETRIED)
    assert overview.unrouted_count() == 1
    assert overview.open_failed_count() == 1


def test_a_count_stops_at_its_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "CAP", 2)
    for _ in range(3):
        an_event(is_routed=False)
    assert overview.unrouted_count() == 2


@pytest.mark.parametrize(
    ("query", "index"),
    [
        # The backlog is read from the index of what is pending.
        (overview.pending_counts, "delivery_pending"),
        # What is being worked on, from the index of what is leased.
        (overview.leased_counts, "delivery_leased"),
        # Failed tasks, from the index of those that are open.
        (overview.open_failed_counts, "failed_task_open"),
    ],
)
def test_only_the_index_on_open_rows_is_read(
    query: Callable[[], QuerySet[Any, Any]], index: str
) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    assert index in query().explain()
