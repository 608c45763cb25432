"""The second shop of the examples: no order without its event, and none with two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from router.models import EventRecord
from tests.acceptance.examples import killed_service, service
from tests.acceptance.purchases import purchase
from tests.integration.apart import Apart
from tests.integration.lines import Line
from tests.servers.waiting import wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.usefixtures("transactional_db", "empty_router"),
]
EXAMPLE = purchase("1001")["data"]
ORDER = {
    "customer": {"name": "Ada Horn", "email": "ada@example.com"},
    "shipping_address": EXAMPLE["shipping_address"],
    "lines": [{"sku": "CAR-301", "quantity": 2}],
}
Place = Callable[..., tuple[int, Any]]


@pytest.fixture
def shop(tmp_path: Path, line: Line, api_key: str) -> Apart:
    return Apart("flask_shop", tmp_path, ROUTER_URL=line.url, ROUTER_KEY=api_key)


def place(shop: Apart, number: str, order: Any = ORDER) -> tuple[int, Any]:
    return shop.call("PUT", f"/orders/{number}", order)


def event_of(shop: Apart, number: str) -> str:
    """What the shop says of it."""
    return str(shop.call("GET", f"/orders/{number}")[1]["event"])


def wait_for_event(shop: Apart, number: str, state: str = "published") -> None:
    wait_until(lambda: event_of(shop, number) == state)


def test_an_order_is_published_as_the_schema_has_it(
    shop: Apart, tmp_path: Path
) -> None:
    with service(shop.program, tmp_path, **shop.environment):
        assert place(shop, "1001")[0] == 201
        wait_for_event(shop, "1001")

    event = EventRecord.objects.get()
    customer = event.data["customer"]["id"]
    assert (event.source, event.event_id) == ("/flask-shop", "order-1001")
    assert (event.subject, event.partitionkey) == ("order-1001", customer)
    assert event.time.isoformat() == event.data["order"]["placed_at"]
    placed_at = event.data["order"]["placed_at"]
    assert event.data == {
        **EXAMPLE,
        "order": {**EXAMPLE["order"], "id": "order-1001", "placed_at": placed_at},
        "customer": {**EXAMPLE["customer"], "id": customer},
    }


def test_a_second_click_is_the_same_order_and_another_one_is_refused(
    shop: Apart, tmp_path: Path
) -> None:
    other = {**ORDER, "lines": [{"sku": "STD-401", "quantity": 1}]}

    with service(shop.program, tmp_path, **shop.environment):
        statuses = [
            place(shop, "1001")[0],
            place(shop, "1001")[0],
            place(shop, "1001", other)[0],
            place(shop, "1002", other)[0],
        ]
        wait_for_event(shop, "1002")

    assert statuses == [201, 200, 409, 201]
    ids = EventRecord.objects.order_by("number").values_list("event_id", flat=True)
    assert list(ids) == ["order-1001", "order-1002"]
    customers = {each.data["customer"]["id"] for each in EventRecord.objects.all()}
    assert len(customers) == 1


@pytest.mark.parametrize(
    ("number", "change"),
    [
        ("nr. 7", {}),
        ("1001", {"lines": [{"sku": "CAR-999", "quantity": 1}]}),
        ("1001", {"lines": [{"sku": "CAR-301", "quantity": 0}]}),
        ("1001", {"lines": [{"sku": "CAR-301", "quantity": 1.5}]}),
        ("1001", {"customer": None}),
    ],
)
def test_what_is_no_order_leaves_nothing_behind(
    shop: Apart, tmp_path: Path, number: str, change: dict[str, Any]
) -> None:
    with service(shop.program, tmp_path, **shop.environment) as running:
        status = place(shop, number.replace(" ", "%20"), {**ORDER, **change})[0]

    assert status == 422
    assert running.rows("SELECT * FROM orders") == []
    assert running.rows("SELECT * FROM outbox") == []


def test_orders_of_a_time_of_no_router_are_published_when_it_is_back(
    shop: Apart, tmp_path: Path, line: Line
) -> None:
    numbers = ["1003", "1001", "1002"]
    line.cuts_before = 10_000

    with killed_service(shop.program, tmp_path, **shop.environment):
        statuses = [place(shop, number)[0] for number in numbers]
        wait_until(lambda: line.request_count)
        waiting = [event_of(shop, number) for number in numbers]
    line.cuts_before = 0
    with service(shop.program, tmp_path, **shop.environment):
        wait_for_event(shop, "1002")

    assert statuses == [201] * 3
    assert waiting == ["waiting"] * 3
    ids = EventRecord.objects.order_by("number").values_list("event_id", flat=True)
    assert list(ids) == [f"order-{number}" for number in numbers]


def test_a_shop_that_is_killed_before_it_hears_the_answer_publishes_one_event(
    shop: Apart, tmp_path: Path, line: Line
) -> None:
    line.cuts_after = 10_000

    with killed_service(shop.program, tmp_path, **shop.environment):
        place(shop, "1001")
        wait_until(EventRecord.objects.exists)
        assert event_of(shop, "1001") == "waiting"
    line.cuts_after = 0
    with service(shop.program, tmp_path, **shop.environment):
        wait_for_event(shop, "1001")

    assert EventRecord.objects.count() == 1


def test_an_event_that_is_refused_holds_up_no_other(
    shop: Apart, tmp_path: Path, live_server: Any
) -> None:
    nobody = {**ORDER, "customer": {"name": "Ada Horn", "email": "nobody-there"}}
    environment = {**shop.environment, "ROUTER_URL": live_server.url}

    with service(shop.program, tmp_path, **environment) as running:
        place(shop, "1001", nobody)
        place(shop, "1002")
        wait_for_event(shop, "1002")
        refused = shop.call("GET", "/orders/1001")[1]

    assert refused == {
        "number": "1001",
        "event": "refused",
        "problem": "Invalid /data/customer/email",
    }
    assert EventRecord.objects.get().event_id == "order-1002"
    assert "nobody-there" not in running.log_text()


def test_a_key_that_is_not_taken_lets_the_orders_wait(
    shop: Apart, tmp_path: Path, live_server: Any
) -> None:
    environment = {**shop.environment, "ROUTER_URL": live_server.url}

    with killed_service(
        shop.program, tmp_path, **{**environment, "ROUTER_KEY": "revoked"}
    ) as running:
        place(shop, "1001")
        running.wait_for_log("The outbox has to wait")
        assert event_of(shop, "1001") == "waiting"
    with service(shop.program, tmp_path, **environment):
        wait_for_event(shop, "1001")
