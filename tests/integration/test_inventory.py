from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from router.public import Event, Reject
from subscribers.inventory.availability import available
from subscribers.inventory.handler import keep_stock
from subscribers.inventory.models import StockLevel, StockMovement
from tests.integration.events import event, line, purchase

pytestmark = pytest.mark.django_db
ADD = "/admin/inventory/stockmovement/add/"


def received(quantity: int = 10, id: str = "received_1") -> Event:
    items = [
        {"sku": "mute", "name": "Cup mute", "quantity": quantity},
        {"sku": "oil", "name": "Valve oil", "quantity": quantity},
    ]
    return event("stock.received", {"items": items}, id=id)


def on_hand(sku: str) -> int:
    return StockLevel.objects.get(sku=sku).on_hand


def test_what_comes_in_is_there_and_what_is_sold_is_gone() -> None:
    keep_stock(received())
    keep_stock(purchase())

    assert (on_hand("mute"), on_hand("oil")) == (8, 9)


def test_an_event_that_comes_twice_is_counted_once() -> None:
    for delivered in (received(), received(), purchase(), purchase()):
        keep_stock(delivered)

    assert (on_hand("mute"), on_hand("oil")) == (8, 9)
    assert StockMovement.objects.count() == 4


def test_the_same_id_of_another_source_is_another_event() -> None:
    first = received()
    second = Event(**{**first.__dict__, "source": "/depot"})
    keep_stock(first)
    keep_stock(second)

    assert on_hand("mute") == 20


def test_more_sold_than_there_is_becomes_a_back_order() -> None:
    keep_stock(purchase(lines=[line("mute", 3, 100)]))

    level = StockLevel.objects.get(sku="mute")
    assert (level.on_hand, level.backordered) == (-3, 3)
    assert available(["mute"]) == {"mute": 0}


def test_stock_that_arrives_after_the_sale_settles_the_back_order() -> None:
    keep_stock(purchase(lines=[line("mute", 3, 100)]))
    keep_stock(received(10))

    assert on_hand("mute") == 7
    assert StockLevel.objects.get(sku="mute").backordered == 0


def test_a_product_on_two_lines_moves_by_their_sum() -> None:
    keep_stock(received(10))
    keep_stock(purchase(lines=[line("mute", 2, 100), line("mute", 3, 90)]))

    assert on_hand("mute") == 5


def test_a_product_nobody_knows_has_no_availability() -> None:
    keep_stock(received(4))

    assert available(["mute", "tuba"]) == {"mute": 4}
    assert available([]) == {}


@pytest.mark.parametrize(
    "bad",
    [
        {"quantity": -1, "sku": "mute"},  # a return is another event
        {"quantity": True, "sku": "mute"},  # no number at all
        {"quantity": 1.5, "sku": "mute"},  # half a mute
        {"quantity": 1, "sku": ""},
        {"quantity": 1, "sku": "x" * 101},
        {"quantity": 2**40, "sku": "mute"},
    ],
)
def test_odd_quantities_are_rejected_and_move_nothing(bad: dict[str, Any]) -> None:
    with pytest.raises(Reject, match="/items/0/"):
        keep_stock(event("stock.received", {"items": [bad]}))

    assert not StockMovement.objects.exists()


def test_data_that_is_no_object_is_rejected() -> None:
    with pytest.raises(Reject):
        keep_stock(event("stock.received", None))


def test_statements_do_not_grow_with_what_other_events_moved(
    django_assert_max_num_queries: Any,
) -> None:
    keep_stock(received())
    for number in range(5):
        keep_stock(purchase(f"ord_{number}"))

    with django_assert_max_num_queries(6):
        keep_stock(purchase("ord_last"))


def form_token(page: str) -> str:
    match = re.search(r'name="token" value="([^"]+)"', page)
    assert match
    return match[1]


def test_staff_book_in_a_delivery_and_a_double_click_counts_once(
    admin_client: Client,
) -> None:
    token = form_token(admin_client.get(ADD).content.decode())
    given = {"sku": "mute", "name": "Cup mute", "quantity": "12", "token": token}
    first = admin_client.post(ADD, given, follow=True)
    second = admin_client.post(ADD, given, follow=True)

    assert on_hand("mute") == 12
    assert StockMovement.objects.count() == 1
    assert "counts once" not in first.content.decode()
    assert "counts once" in second.content.decode()


def test_a_new_product_needs_a_name_when_it_is_booked_in(admin_client: Client) -> None:
    token = form_token(admin_client.get(ADD).content.decode())
    given = {"sku": "tuba", "name": "", "quantity": "1", "token": token}

    assert "This SKU is new" in admin_client.post(ADD, given).content.decode()
    assert not StockLevel.objects.exists()


def test_the_admin_lists_back_orders(admin_client: Client) -> None:
    keep_stock(received(10))
    keep_stock(purchase(lines=[line("tuba", 3, 100, "A tuba")]))

    page = admin_client.get("/admin/inventory/stocklevel/?stock=back").content.decode()
    assert "tuba" in page
    assert "Cup mute" not in page
    level = StockLevel.objects.get(sku="tuba")
    address = f"/admin/inventory/stocklevel/{level.pk}/change/"
    assert admin_client.get(address).status_code == 200


def test_movements_can_be_looked_at_and_not_changed(admin_client: Client) -> None:
    keep_stock(received(10))
    movement = StockMovement.objects.order_by("pk")[0]
    address = f"/admin/inventory/stockmovement/{movement.pk}/change/"

    assert admin_client.get(address).status_code == 200
    assert admin_client.post(address, {"quantity": "99"}).status_code == 403
    assert on_hand("mute") == 10


def test_the_level_leads_to_the_form_filled_in(admin_client: Client) -> None:
    keep_stock(received(10))
    level = StockLevel.objects.get(sku="mute")

    moved = admin_client.get(
        f"/admin/inventory/stocklevel/{level.pk}/receive", follow=True
    )
    assert 'value="Cup mute"' in moved.content.decode()
