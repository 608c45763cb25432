from __future__ import annotations

import pytest
from django.test import Client

from shop.validation import MAX_LINES
from tests.integration.shopping import a_product, put_in_basket

pytestmark = pytest.mark.django_db


def quantities(client: Client) -> list[int]:
    return [line.quantity for line, _ in client.get("/basket/").context["rows"]]


@pytest.mark.parametrize(
    ("quantity", "message"),
    [
        ("0", "Choose at least 1."),
        ("-1", "Choose at least 1."),
        ("1000000000", "at most 99"),
        ("9" * 5000, "whole number"),
        ("1.5", "whole number"),
        ("two", "whole number"),
        ("", "How many"),
        ("<script>", "whole number"),
    ],
)
def test_a_quantity_that_makes_no_sense_is_refused_and_not_added(
    client: Client, quantity: str, message: str
) -> None:
    page = put_in_basket(client, a_product(), quantity)

    assert page.status_code == 422
    assert message in page.content.decode()
    assert quantities(client) == []


def test_adding_twice_adds_up_to_the_limit(client: Client) -> None:
    product = a_product()
    put_in_basket(client, product, 60)

    page = put_in_basket(client, product, 60)

    assert page.status_code == 422
    assert quantities(client) == [60]


def test_a_basket_holds_a_limited_number_of_things(client: Client) -> None:
    for number in range(MAX_LINES):
        put_in_basket(client, a_product(f"CAR-{number}"))

    assert put_in_basket(client, a_product("ONE-MORE")).status_code == 422
    assert len(quantities(client)) == MAX_LINES


def test_quantities_can_be_changed(client: Client) -> None:
    put_in_basket(client, a_product(), 2)

    client.post("/basket/", {"quantity-CAR-301": "5"})

    assert quantities(client) == [5]


@pytest.mark.parametrize("quantity", ["0", "-1", "1000000000", "x"])
def test_a_wrong_change_is_reported_beside_its_line(
    client: Client, quantity: str
) -> None:
    put_in_basket(client, a_product(), 2)

    page = client.post("/basket/", {"quantity-CAR-301": quantity})

    assert page.status_code == 422
    assert 'id="error-CAR-301"' in page.content.decode()
    assert quantities(client) == [2]


def test_a_line_can_be_taken_out(client: Client) -> None:
    put_in_basket(client, a_product())

    client.post("/basket/", {"remove": "CAR-301"})

    assert quantities(client) == []


@pytest.mark.parametrize(
    "forged", [{"quantity-NEVER": "3"}, {"remove": "NEVER"}, {"quantity-": "1"}, {}]
)
def test_forged_lines_change_nothing(client: Client, forged: dict[str, str]) -> None:
    put_in_basket(client, a_product(), 2)

    client.post("/basket/", forged)

    assert quantities(client) == [2]


def test_what_was_withdrawn_leaves_the_basket_and_is_named(client: Client) -> None:
    product = a_product()
    put_in_basket(client, product)
    product.is_available = False
    product.save()

    page = client.get("/basket/").content.decode()

    assert "No longer sold" in page
    assert "CAR-301" in page
    assert quantities(client) == []


@pytest.mark.parametrize(
    ("quantity", "shipping", "total"),
    [(1, "€5.90", "€12.80"), (14, "€5.90", "€102.50"), (15, "free", "€103.50")],
)
def test_shipping_is_free_for_large_orders(
    client: Client, quantity: int, shipping: str, total: str
) -> None:
    put_in_basket(client, a_product(), quantity)

    page = client.get("/basket/").content.decode()

    assert f"<dd>{shipping}</dd>" in page
    assert f"<dd>{total}</dd>" in page
