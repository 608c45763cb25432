"""Row by row: what a subscriber is owed beyond its window stays in the log."""

from __future__ import annotations

from typing import Any

import pytest

from router.flow.pull import settling
from router.flow.route.batch import has_unrouted
from router.flow.route.routing import route_batch
from router.flow.route.window import Windows, fill_windows
from router.models import Cursor, Delivery, EventRecord, Subscriber
from router.operate.subscribers import (
    create_subscriber,
    delete_subscriber,
    edit_subscriber,
)
from router.public import publish
from router.testing import skip_waits
from tests.contract.steps import TYPE, ack, leases, publish_events, say, take

WINDOW = 5
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def small_window(settings: Any) -> None:
    settings.ROUTER = {**settings.ROUTER, "WINDOW": WINDOW}


@pytest.fixture
def erp() -> Subscriber:
    Subscriber.objects.all().delete()
    made = create_subscriber("erp", by="test", transport="pull", events=[TYPE])
    return made.subscriber


def route() -> None:
    """As a dispatcher does that has just looked at the windows."""
    windows = Windows()
    windows.turn()
    while has_unrouted():
        route_batch(fits=windows.fits)


def pull_and_ack(subscriber: Subscriber) -> list[int]:
    """The `n` of what was pulled and acknowledged."""
    pulled = take(subscriber)
    ack(pulled)
    return [row.event.data["n"] for row in pulled]


def nack(subscriber: Subscriber) -> None:
    say(settling.nack, leases(take(subscriber), seconds=600))


def is_behind() -> bool:
    return Cursor.objects.get(subscriber__name="erp").is_behind


def test_who_takes_nothing_owns_a_window_and_a_cursor(erp: Subscriber) -> None:
    publish_events(4)
    route()
    publish_events(40)
    route()
    assert Delivery.objects.count() == 4
    fill_windows()
    assert Delivery.objects.count() == 4
    assert is_behind()


def test_it_gets_all_in_their_order_and_then_follows_the_head(erp: Subscriber) -> None:
    publish_events(23)
    route()
    got: list[int] = []
    for _ in range(10):
        fill_windows()
        assert Delivery.objects.due().count() <= WINDOW
        got += pull_and_ack(erp)
    assert got == list(range(23))
    assert not is_behind()
    publish(TYPE, {"n": 23})
    route()
    assert pull_and_ack(erp) == [23]


def test_a_puller_that_catches_up_waits_for_no_dispatcher(erp: Subscriber) -> None:
    publish_events(23)
    route()
    got = [number for _ in range(5) for number in pull_and_ack(erp)]
    assert got == list(range(23))
    assert not is_behind()


def test_what_waits_for_a_retry_keeps_nothing_out(erp: Subscriber) -> None:
    publish_events(20)
    route()
    fill_windows()
    nack(erp)
    fill_windows()
    assert Delivery.objects.count() == 2 * WINDOW


def test_all_that_is_open_is_limited(erp: Subscriber, settings: Any) -> None:
    settings.ROUTER = {**settings.ROUTER, "MAX_OPEN": 8}
    publish_events(20)
    route()
    fill_windows()
    nack(erp)
    fill_windows()
    fill_windows()
    assert Delivery.objects.count() == 8
    assert EventRecord.objects.filter(type="router.subscriber.full").count() == 1
    skip_waits()
    pull_and_ack(erp)
    fill_windows()
    assert Delivery.objects.open().count() == WINDOW


def test_events_behind_one_key_are_limited_though_the_window_is_empty(
    erp: Subscriber, settings: Any
) -> None:
    settings.ROUTER = {**settings.ROUTER, "MAX_OPEN": 8}
    edit_subscriber(erp, by="test", ordering="key")
    for n in range(20):
        publish(TYPE, {"n": n}, partitionkey="one")
        route()
    assert Delivery.objects.count() == 8
    assert is_behind()
    assert EventRecord.objects.filter(type="router.subscriber.full").count() == 1
    got: list[int] = []
    for _ in range(20):
        fill_windows()
        got += pull_and_ack(erp)
    assert got == list(range(20))


def test_an_event_is_judged_by_what_was_asked_when_it_was_routed(
    erp: Subscriber,
) -> None:
    publish_events(7)
    publish("other.happened", {"n": 7})
    route()
    edit_subscriber(erp, by="test", events=["other.happened"])
    publish_events(1)
    publish("other.happened", {"n": 8})
    route()
    got: list[int] = []
    for _ in range(4):
        fill_windows()
        got += pull_and_ack(erp)
    assert got == [0, 1, 2, 3, 4, 5, 6, 8]


def test_the_order_of_a_key_holds_beyond_the_window(erp: Subscriber) -> None:
    edit_subscriber(erp, by="test", ordering="key")
    for n in range(12):
        publish(TYPE, {"n": n}, partitionkey="one")
    route()
    got: list[int] = []
    for _ in range(14):
        fill_windows()
        got += pull_and_ack(erp)
    assert got == list(range(12))


def test_a_deleted_subscriber_that_is_behind_gets_nothing_more(
    erp: Subscriber,
) -> None:
    publish_events(20)
    route()
    delete_subscriber(erp, by="test")
    assert fill_windows() == 0
    assert not Delivery.objects.open().exists()
    # Else each dispatcher would look for its room for ever.
    assert not is_behind()
