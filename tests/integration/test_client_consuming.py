"""The client consumes over real HTTP: what its loop acknowledges, nacks and extends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from router.client import (
    Client,
    Consumer,
    Event,
)
from router.flow.route.routing import route_batch
from router.models import (
    Attempt,
    Clock,
    Delivery,
    DeliveryState,
)
from tests.contract.steps import states
from tests.integration.consuming import (
    SHORT_LEASE_SECONDS,
    attempts,
    lose_leases,
    seats_until,
    sold,
    wait_for_extensions,
)
from tests.integration.lines import Line

pytestmark = pytest.mark.usefixtures("transactional_db", "empty_router")


def test_what_went_well_is_acknowledged_in_order(router: Client) -> None:
    sold(1, 2, 3)

    assert seats_until(router.consumer("erp", batch=2), last=3) == [1, 2, 3]

    assert states() == [DeliveryState.ACKNOWLEDGED] * 3
    assert Attempt.objects.count() == 3


def test_the_event_is_what_was_published(router: Client) -> None:
    sent = Event(
        id="t-1",
        source="/box-office",
        type="ticket.sold",
        data={"seat": 7, "holder": "Zoë"},
        time=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        subject="hall-2",
        partitionkey="cus_1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        extensions={"channel": "counter"},
    )
    router.publish(
        sent.type,
        sent.data,
        source=sent.source,
        id=sent.id,
        time=sent.time,
        subject=sent.subject,
        partitionkey=sent.partitionkey,
        traceparent=sent.traceparent,
        **sent.extensions,
    )
    route_batch()

    assert next(iter(router.consumer("erp"))) == sent


@pytest.mark.parametrize(
    ("datacontenttype", "data"),
    [
        ("text/plain", "Zoë"),
        ("image/png", b"\x89PNG\x00"),
        ("application/ld+json", {"a": 1e23}),
    ],
)
def test_data_of_any_type_is_what_was_published(
    router: Client, datacontenttype: str, data: object
) -> None:
    router.publish("ticket.sold", data, source="/b", datacontenttype=datacontenttype)
    route_batch()
    event = next(iter(router.consumer("erp")))
    assert (event.datacontenttype, event.data) == (datacontenttype, data)


def test_an_exception_is_nacked_by_its_class_and_the_next_goes_on(
    router: Client, caplog: pytest.LogCaptureFixture
) -> None:
    sold(1, 2)
    consumer = router.consumer("erp")

    for delivery in consumer.deliveries():
        with delivery as event:
            if event.data["seat"] == 1:
                raise ZeroDivisionError("the customer's secret")
            consumer.stop()

    assert states() == [DeliveryState.PENDING, DeliveryState.ACKNOWLEDGED]
    assert attempts()[0] == ("RETRY", "Nacked: ZeroDivisionError")
    assert Delivery.objects.earliest("pk").failures == 1
    assert "ZeroDivisionError" in caplog.text


def leave_by_exception(consumer: Consumer) -> None:
    with suppress(ZeroDivisionError):
        for _ in consumer:
            raise ZeroDivisionError


def leave_by_break(consumer: Consumer) -> None:
    for _ in consumer:
        break


def leave_deliveries(consumer: Consumer) -> None:
    for _ in consumer.deliveries():
        break


@pytest.mark.parametrize(
    "leave", [leave_by_exception, leave_by_break, leave_deliveries]
)
def test_a_loop_that_is_left_nacks_the_event_at_hand_and_gives_back_the_rest(
    router: Client, leave: Callable[[Consumer], None]
) -> None:
    sold(1, 2, 3)

    leave(router.consumer("erp"))

    assert states() == [DeliveryState.PENDING] * 3
    assert attempts() == [("RETRY", "Nacked: The consumer left its loop.")]
    rows = Delivery.objects.order_by("pk")
    assert list(rows.values_list("attempts", "failures")) == [(1, 1), (0, 0), (0, 0)]


def test_left_inside_the_with_it_is_acknowledged(router: Client) -> None:
    sold(1)

    for delivery in router.consumer("erp").deliveries():
        with delivery:
            break

    assert states() == [DeliveryState.ACKNOWLEDGED]


def test_nacked_by_hand_it_waits_as_long_as_the_call_says(router: Client) -> None:
    sold(1)
    consumer = router.consumer("erp")

    for delivery in consumer.deliveries():
        with delivery:
            delivery.nack(reason="full", delay_seconds=600)
            consumer.stop()

    waiting = Delivery.objects.annotate(now=Clock()).get()
    assert waiting.due_at - waiting.now > timedelta(seconds=590)
    assert attempts() == [("RETRY", "Nacked: full")]


def test_one_that_was_not_settled_is_nacked(
    router: Client, caplog: pytest.LogCaptureFixture
) -> None:
    sold(1)
    consumer = router.consumer("erp")

    for _ in consumer.deliveries():
        consumer.stop()

    assert states() == [DeliveryState.PENDING]
    assert "was not settled" in caplog.text


def test_stopped_it_finishes_the_event_at_hand_and_gives_back_the_rest(
    router: Client,
) -> None:
    sold(1, 2, 3)

    assert seats_until(router.consumer("erp"), last=1) == [1]

    assert states() == [DeliveryState.ACKNOWLEDGED, *[DeliveryState.PENDING] * 2]
    assert seats_until(router.consumer("erp"), last=3) == [2, 3]


def test_a_body_longer_than_the_lease_keeps_it(router: Client) -> None:
    sold(1, 2)
    consumer = router.consumer("erp", lease_seconds=SHORT_LEASE_SECONDS)

    for event in consumer:
        if event.data["seat"] == 1:
            wait_for_extensions(seconds=3 * SHORT_LEASE_SECONDS)
        else:
            consumer.stop()

    assert states() == [DeliveryState.ACKNOWLEDGED] * 2
    assert list(Delivery.objects.values_list("attempts", flat=True)) == [1, 1]


def test_a_lease_that_was_lost_is_logged_and_the_next_goes_on(
    router: Client, caplog: pytest.LogCaptureFixture
) -> None:
    sold(1)
    consumer = router.consumer("erp")

    for count, _ in enumerate(consumer):
        if count == 0:
            lose_leases()
        else:
            consumer.stop()

    assert "lease is not held any more" in caplog.text
    assert states() == [DeliveryState.ACKNOWLEDGED]
    assert Delivery.objects.get().attempts == 2


def test_two_consumers_share_the_work_without_doubles(router: Client) -> None:
    sold(*range(20))
    both_work = threading.Barrier(2, timeout=60)
    consumers = [router.consumer("erp", batch=3, wait_seconds=0.2) for _ in range(2)]
    done: list[int] = []

    def consume(consumer: Consumer) -> int:
        count = 0
        for event in consumer:
            if count == 0:
                both_work.wait()
            count += 1
            done.append(event.data["seat"])
            if len(done) == 20:
                for each in consumers:
                    each.stop()
        return count

    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(consume, consumers))

    assert sorted(done) == list(range(20))
    assert min(counts) > 0
    assert states() == [DeliveryState.ACKNOWLEDGED] * 20


def test_with_nothing_due_it_waits_for_what_comes(router: Client) -> None:
    later = threading.Timer(0.4, _sold_elsewhere)
    later.start()

    assert seats_until(router.consumer("erp"), last=7) == [7]

    later.join()


def _sold_elsewhere() -> None:
    try:
        sold(7)
    finally:
        connection.close()


def test_idle_it_does_not_ask_without_end(
    router: Client, line: Line, api_key: str
) -> None:
    consumer = Client(line.url, api_key).consumer("erp", wait_seconds=0)
    later = threading.Timer(0.5, consumer.stop)
    later.start()

    assert list(consumer) == []

    later.join()
    assert line.request_count <= 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_loop_after_the_event_at_hand(
    router: Client, number: signal.Signals
) -> None:
    sold(1, 2)
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    consumer = router.consumer("erp")
    seats = []
    try:
        consumer.stop_on_signals()
        for event in consumer:
            seats.append(event.data["seat"])
            signal.raise_signal(number)
        after = signal.getsignal(signal.SIGINT)
    finally:
        for handled, handler in before.items():
            signal.signal(handled, handler)

    assert seats == [1]
    assert states() == [DeliveryState.ACKNOWLEDGED, DeliveryState.PENDING]
    assert (after is signal.default_int_handler) == (number == signal.SIGINT)
