"""One number of an order on every page, in every search, and never its secret."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import Client

from router.models import EventRecord
from router.testing import deliver_due, register_declared
from shop.models import Order, Product
from shop.order_numbers import public_ids
from subscribers.fulfilment.models import Shipment
from subscribers.fulfilment.shipping import pack, ship
from subscribers.inventory.models import StockMovement
from subscribers.order_history.links import history_link
from subscribers.order_history.models import DispatchRecord, PurchaseRecord
from subscribers.slack_alerts.alerts import alert_for
from tests.integration.shopping import (
    a_product,
    check_out,
    put_in_basket,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(client: Client, settings: Any, tmp_path: Any) -> Order:
    """An order that all have taken and that has been shipped."""
    settings.VAR_DIR = tmp_path
    register_declared()
    put_in_basket(client, a_product())
    check_out(client)
    deliver_due()
    shipment = Shipment.objects.get()
    pack([shipment.pk])
    ship(shipment.pk)
    deliver_due()
    return Order.objects.get()


def test_the_number_is_the_beginning_of_the_public_id(order: Order) -> None:
    letters = order.public_id.upper()

    assert order.number == f"{letters[:4]}-{letters[4:8]}"
    assert str(order) == order.number


def test_every_page_of_a_customer_has_the_number(client: Client, order: Order) -> None:
    client.get(history_link("/shop", order.customer_id))
    account = client.get("/account/orders/").content.decode()

    assert order.number in client.get(order.get_absolute_url()).content.decode()
    assert order.number in account
    assert order.public_id not in account


def test_the_receipt_has_the_number_in_both_parts(order: Order) -> None:
    (receipt,) = mail.outbox

    for part in (receipt.body, str(receipt.alternatives[0].content)):
        assert order.number in part
        assert order.public_id not in part


def test_the_team_reads_the_number_and_never_the_secret_address(order: Order) -> None:
    alert = alert_for(EventRecord.objects.get(type="purchase.completed").to_event())

    assert alert
    assert f"Order {order.number}" in alert.text()
    assert order.public_id not in str(alert.blocks()) + alert.text()


def test_the_pick_list_is_headed_by_the_number(
    admin_client: Client, order: Order
) -> None:
    shipment = Shipment.objects.get()
    sheet = admin_client.get(
        f"/admin/fulfilment/shipment/pick-lists/?ids={shipment.pk}"
    ).content.decode()

    assert f">{order.number}</h1>" in sheet


def test_the_story_is_headed_by_the_number(admin_client: Client, order: Order) -> None:
    event = EventRecord.objects.get(type="purchase.completed")
    page = admin_client.get(f"/admin/router/eventrecord/{event.pk}/story/")

    heading = f'<h2 class="fan-title">Story of order {order.number}</h2>'
    assert heading in page.content.decode()


LISTS = [
    "shop/order",
    "fulfilment/shipment",
    "inventory/stockmovement",
    "order_history/purchaserecord",
    "order_history/dispatchrecord",
    "router/eventrecord",
    "router/delivery",
]


@pytest.mark.parametrize("path", [path for path in LISTS if "router" not in path])
def test_every_list_shows_the_number_and_not_the_id(
    admin_client: Client, order: Order, path: str
) -> None:
    page = admin_client.get(f"/admin/{path}/").content.decode()

    assert order.number in page
    assert order.public_id not in page


@pytest.mark.parametrize("path", LISTS)
def test_every_search_finds_the_number_however_it_is_typed(
    admin_client: Client, order: Order, path: str
) -> None:
    number = order.number
    as_typed = [number, f"#{number}", f" {number} ", number.lower()]

    def count(term: str) -> int:
        page = admin_client.get(f"/admin/{path}/", {"q": term})
        count: int = page.context["cl"].queryset.count()
        return count

    counts = {term: count(term) for term in [*as_typed, number.replace("-", "")]}
    assert [term for term, count in counts.items() if not count] == []
    assert count("ZZZZ-ZZZZ") == 0


def test_an_order_is_found_by_the_address_as_its_owner_writes_it(
    client: Client, admin_client: Client
) -> None:
    put_in_basket(client, a_product())
    check_out(client, email="ada@bücher.example")
    Order.objects.get(email="ada@xn--bcher-kva.example")

    answer = admin_client.get("/admin/shop/order/", {"q": "ada@bücher.example"})

    assert answer.context["cl"].queryset.count() == 1


def test_the_events_of_a_customer_are_found_by_a_mail_address_that_no_page_s_has(
    client: Client, admin_client: Client, order: Order
) -> None:
    def found(email: str) -> str:
        return admin_client.post("/admin/router/eventrecord/find/", {"q": email}).url

    put_in_basket(client, Product.objects.get())
    check_out(client, email=order.email)
    address = found(order.email.upper())
    listed = admin_client.get(address).context["cl"].queryset

    assert found("nobody@example.com") == "/admin/router/eventrecord/"
    assert address == f"/admin/router/eventrecord/?q={order.customer_id}"
    assert {event.subject for event in listed} == set(
        Order.objects.values_list("public_id", flat=True)
    )


@pytest.mark.parametrize(
    "rows",
    [
        Order.objects.filter(number="RS3X-M2QZ"),
        *(
            model.objects.filter(order_number="RS3X-M2QZ")
            for model in (Shipment, StockMovement, PurchaseRecord, DispatchRecord)
        ),
    ],
    ids=lambda rows: rows.model.__name__,
)
def test_a_number_is_looked_up_in_an_index(rows: Any) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # A table of a few rows is read whole, whatever index it has.
            cursor.execute("SET LOCAL enable_seqscan = off")
    plan = rows.order_by().explain()

    assert "number" in plan
    assert "SCAN " not in plan.replace("Index Scan", "").replace("Bitmap", "")


def test_a_publisher_without_numbers_is_shown_by_its_id(order: Order) -> None:
    record = PurchaseRecord(order_id="ord_1")

    assert str(record) == record.order == "ord_1"
    assert public_ids("ord_1") == []
