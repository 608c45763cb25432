"""The client over real HTTP: publishing, refusals, and a line that is cut."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import islice
from typing import Any

import pytest

from config.env import BASE_DIR
from router.client import (
    Client,
    ClientError,
    Conflict,
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
    DeliveryState,
    EventRecord,
    RunKind,
    Subscriber,
)
from router.operate.run_request import RunRequest
from router.operate.runs import begin_run
from router.public import publish
from router.testing import deliver_due
from tests.contract.steps import states
from tests.integration.consuming import (
    SHORT_LEASE_SECONDS,
    lose_leases,
    seats_until,
    sold,
)
from tests.integration.lines import Line
from tests.servers.waiting import free_port, wait_until

pytestmark = pytest.mark.usefixtures("transactional_db", "empty_router")


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


def test_the_client_reports_a_lost_lease_while_the_body_works(
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
    second = router.publish("ticket.sold", {"seat": 1}, source="/test", id="t-1")

    assert (first.is_new, second.is_new) == (True, False)
    assert first.number == second.number
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


def test_the_client_reports_a_router_without_time_when_patience_ends(
    line: Line, api_key: str
) -> None:
    line.refusals = [(429, {"Retry-After": "3600"})]

    with pytest.raises(Unavailable) as caught:
        Client(line.url, api_key).publish("ticket.sold", {}, source="/test")

    assert caught.value.status == 429


def test_the_client_reports_a_missing_router_when_patience_ends(api_key: str) -> None:
    nobody = Client(f"http://127.0.0.1:{free_port()}", api_key, patience_seconds=0.3)

    with pytest.raises(Unreachable, match="ConnectionRefused") as caught:
        nobody.publish("ticket.sold", {}, source="/test")

    assert api_key not in str(caught.value)


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
    with pytest.raises(Invalid) as caught:
        router.publish("", {}, source="/test")
    assert [pointer for pointer, _ in caught.value.problems] == ["/type"]
    assert issubclass(Invalid, ClientError)


@pytest.mark.parametrize("url", ["shop.example", "ftp://shop.example", "http://"])
def test_an_address_that_can_not_be_one_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        Client(url, "key")


@pytest.mark.parametrize("key", ["", "line\nbreak", "schlüssel"])
def test_a_key_that_can_not_be_one_is_refused_and_not_quoted(key: str) -> None:
    with pytest.raises(ValueError, match="create_api_key") as caught:
        Client("http://shop.example", key)
    assert not key or key not in str(caught.value)


def test_the_client_needs_the_standard_library_alone() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(BASE_DIR)!r}); import router.client;"
        "print(*sorted(m for m in sys.modules if m.startswith('router.')))"
    )
    # -I and -S: no environment, no installed packages.
    completed = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert {name.split(".")[1] for name in completed.stdout.split()} == {"client"}


def test_a_puller_that_lost_events_gets_exactly_these_again(router: Client) -> None:
    sold(*range(5))
    have = pulled(router, 5)
    lost = [have.pop(1), have.pop(2)]

    difference = router.reconcile("erp", [*have, (5, "/forged", "x")])

    assert difference.extra == [(5, "/forged", "x")]
    found = [(each.position, each.source, each.id) for each in difference.missing]
    assert found == lost
    erp = Subscriber.objects.get(name="erp")
    chosen = [each.number for each in difference.missing]
    begin_run(erp, RunRequest(kind=RunKind.REPLAY, chosen=chosen), by="test")
    deliver_due()
    assert pulled(router, 2) == lost


def pulled(router: Client, count: int) -> list[tuple[int, str, str]]:
    """So many events, as a receiver notes them."""
    deliveries = islice(router.consumer("erp").deliveries(), count)
    noted = []
    for delivery in deliveries:
        with delivery as event:
            noted.append((delivery.position or 0, event.source, event.id))
    return noted
