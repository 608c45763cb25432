"""The client, over real HTTP."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from config.env import BASE_DIR
from router.client import (
    Client,
    ClientError,
    Conflict,
    Consumer,
    Event,
    Invalid,
    NotAllowed,
    NotFound,
    Refused,
    Unavailable,
    Unreachable,
)
from router.flow.route.routing import route_batch
from router.flow.sweep import sweep
from router.models import (
    ApiKey,
    Attempt,
    Clock,
    Delivery,
    DeliveryState,
    EventRecord,
    Scope,
)
from router.operate.subscribers import create_subscriber
from router.public import publish
from tests.integration.lines import Line, line_to
from tests.servers.waiting import free_port, wait_until

pytestmark = pytest.mark.usefixtures("transactional_db", "empty_router")
SHORT_LEASE_SECONDS = 3


@pytest.fixture
def api_key(transactional_db: None) -> str:
    return ApiKey.make("erp", scopes=[Scope.PUBLISH, Scope.CONSUME])[1]


@pytest.fixture
def router(live_server: Any, api_key: str, empty_router: None) -> Client:
    """A client of a router where `erp` pulls."""
    create_subscriber("erp", by="test", transport="pull", events=["ticket.*"])
    return Client(live_server.url, api_key)


@pytest.fixture
def line(live_server: Any) -> Iterator[Line]:
    with line_to(live_server.url) as made:
        yield made


def sold(*seats: int) -> None:
    for seat in seats:
        publish("ticket.sold", {"seat": seat}, source="/test")
    route_batch()


def seats_until(consumer: Consumer, last: int) -> list[int]:
    seats = []
    for event in consumer:
        seats.append(event.data["seat"])
        if seats[-1] == last:
            consumer.stop()
    return seats


def states() -> list[str]:
    """By position; the connection is the calling thread's own."""
    return list(Delivery.objects.order_by("pk").values_list("state", flat=True))


def attempts() -> list[tuple[str, str]]:
    return list(Attempt.objects.order_by("pk").values_list("result", "error"))


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


def test_bytes_without_a_type_are_binary_and_no_data_is_none(router: Client) -> None:
    router.publish("ticket.sold", b"\x00", source="/b")
    publish("ticket.sold", source="/b")
    route_batch()
    deliveries = router.consumer("erp").deliveries()
    first, second = next(deliveries).event, next(deliveries).event
    assert (first.datacontenttype, first.data) == ("application/octet-stream", b"\x00")
    assert (second.data, second.has_data) == (None, False)


def test_half_a_surrogate_pair_is_refused_by_the_router(router: Client) -> None:
    with pytest.raises(Invalid):
        router.publish("ticket.sold", "\ud800", source="/b")


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


def test_nacked_by_hand_it_waits_as_long_as_it_was_told(router: Client) -> None:
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


def lease_ends() -> list[datetime]:
    assert sweep() == 0
    rows = Delivery.objects.order_by("pk")
    return list(rows.values_list("leased_until", flat=True))


def wait_for_extensions(*, seconds: float) -> None:
    until = lease_ends()[0] + timedelta(seconds=seconds)
    wait_until(lambda: lease_ends()[0] > until)


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


def test_an_acknowledgement_whose_answer_was_lost_is_no_warning(
    router: Client, line: Line, api_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    sold(1)
    consumer = Client(line.url, api_key).consumer("erp")

    for delivery in consumer.deliveries():
        with delivery:
            line.cuts_after = 2
            consumer.stop()

    assert states() == [DeliveryState.ACKNOWLEDGED]
    assert f"Delivery {delivery.id}:" not in caplog.text


def test_a_consumer_asks_again_no_sooner_than_the_router_said(
    router: Client, line: Line, api_key: str
) -> None:
    line.answers = [b'{"state": "active", "deliveries": [], "retry_after_seconds": 2}']
    sold(1)
    started_at = time.monotonic()

    assert seats_until(Client(line.url, api_key).consumer("erp"), last=1) == [1]

    assert time.monotonic() - started_at >= 2


def lose_leases() -> None:
    Delivery.objects.update(leased_until=Clock() - timedelta(seconds=1))
    assert sweep() == 1


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


def test_a_lease_that_can_not_be_extended_is_told_while_the_body_works(
    router: Client, caplog: pytest.LogCaptureFixture
) -> None:
    sold(1)
    consumer = router.consumer("erp", lease_seconds=SHORT_LEASE_SECONDS)

    for delivery in consumer.deliveries():
        with delivery:
            lose_leases()
            wait_until(lambda held=delivery: held.is_lost)
            consumer.stop()

    assert "is not extended" in caplog.text


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
                for one in consumers:
                    one.stop()
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
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    consumer = router.consumer("erp")
    seats = []
    try:
        consumer.stop_on_signals()
        for event in consumer:
            seats.append(event.data["seat"])
            signal.raise_signal(number)
        after = signal.getsignal(signal.SIGINT)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)

    assert seats == [1]
    assert states() == [DeliveryState.ACKNOWLEDGED, DeliveryState.PENDING]
    assert (after is signal.default_int_handler) == (number == signal.SIGINT)


def test_an_outage_of_the_router_is_waited_out(
    router: Client, line: Line, api_key: str
) -> None:
    sold(1)
    line.cuts_before = 2
    line.refusals = [(503, {})]

    consumer = Client(line.url, api_key).consumer("erp")

    assert seats_until(consumer, last=1) == [1]
    assert line.request_count == 5


def test_an_acknowledgement_that_comes_not_through_is_logged_and_the_event_stays_owed(
    router: Client, line: Line, api_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    sold(1)
    consumer = Client(line.url, api_key).consumer(
        "erp", lease_seconds=SHORT_LEASE_SECONDS
    )

    for _ in consumer:
        line.cuts_before = 1000
        consumer.stop()

    assert "no ack came through" in caplog.text
    wait_until(sweep)
    assert states() == [DeliveryState.PENDING]


def test_published_over_a_line_that_is_cut_it_is_recorded_once(
    router: Client, line: Line, api_key: str
) -> None:
    line.cuts_after = 2

    published = Client(line.url, api_key).publish("ticket.sold", {}, source="/test")

    record = EventRecord.objects.get()
    assert line.request_count == 3
    assert not published.is_new
    assert (published.number, published.id) == (record.pk, record.event_id)


def test_published_twice_with_one_id_it_is_there_already(router: Client) -> None:
    first = router.publish("ticket.sold", {"seat": 1}, source="/test", id="t-1")
    again = router.publish("ticket.sold", {"seat": 1}, source="/test", id="t-1")

    assert (first.is_new, again.is_new) == (True, False)
    assert first.number == again.number
    with pytest.raises(Conflict):
        router.publish("ticket.sold", {"seat": 2}, source="/test", id="t-1")


def test_it_waits_as_long_as_the_router_asks(
    router: Client, line: Line, api_key: str
) -> None:
    line.refusals = [(429, {"Retry-After": "1"}), (503, {"Retry-After": "soon"})]
    started_at = time.monotonic()

    assert Client(line.url, api_key).publish("ticket.sold", {}, source="/test").is_new

    assert time.monotonic() - started_at >= 1
    assert line.request_count == 3


def test_a_router_without_time_is_told_when_patience_ends(
    line: Line, api_key: str
) -> None:
    line.refusals = [(429, {"Retry-After": "3600"})]

    with pytest.raises(Unavailable) as told:
        Client(line.url, api_key).publish("ticket.sold", {}, source="/test")

    assert told.value.status == 429


def test_a_router_that_is_not_there_is_told_when_patience_ends(api_key: str) -> None:
    nobody = Client(f"http://127.0.0.1:{free_port()}", api_key, patience_seconds=0.3)

    with pytest.raises(Unreachable, match="ConnectionRefused") as told:
        nobody.publish("ticket.sold", {}, source="/test")

    assert api_key not in str(told.value)


def test_a_redirect_is_not_followed_with_the_key(line: Line, api_key: str) -> None:
    line.refusals = [(302, {"Location": "http://elsewhere.example/"})]

    with pytest.raises(Refused, match="elsewhere.example"):
        Client(line.url, api_key).publish("ticket.sold", {}, source="/test")

    assert line.request_count == 1


def test_each_refusal_has_its_error(router: Client, live_server: Any) -> None:
    stranger = Client(live_server.url, "unknown")
    with pytest.raises(NotAllowed):
        stranger.publish("ticket.sold", {}, source="/test")
    with pytest.raises(NotAllowed):
        next(iter(stranger.consumer("erp")))
    with pytest.raises(NotFound, match="nobody"):
        next(iter(router.consumer("nobody")))
    with pytest.raises(Invalid) as told:
        router.publish("", {}, source="/test")
    assert [pointer for pointer, _ in told.value.problems] == ["/type"]
    assert issubclass(Invalid, ClientError)


@pytest.mark.parametrize("url", ["shop.example", "ftp://shop.example", "http://"])
def test_an_address_that_can_not_be_one_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        Client(url, "key")


@pytest.mark.parametrize("key", ["", "line\nbreak", "schlüssel"])
def test_a_key_that_can_not_be_one_is_refused_and_not_quoted(key: str) -> None:
    with pytest.raises(ValueError, match="create_api_key") as told:
        Client("http://shop.example", key)
    assert not key or key not in str(told.value)


def test_the_client_needs_the_standard_library_alone() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(BASE_DIR)!r}); import router.client;"
        "print(*sorted(m for m in sys.modules if m.startswith('router.')))"
    )
    # -I and -S: no environment, no installed packages.
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert {name.split(".")[1] for name in told.stdout.split()} == {"client"}
