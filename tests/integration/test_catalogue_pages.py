from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.integration.shopping import a_product, put_in_basket

pytestmark = pytest.mark.django_db
STOCK = "tests.integration.shopping."


def names(page: Any) -> list[str]:
    return [product.name for product, _, _ in page.context["shelf"]]


@pytest.fixture
def shelf() -> None:
    a_product()
    a_product("MUT-1", name="Cup mute", summary="For ballads.", keywords="mute, fibre")
    a_product("OLD-1", name="Ophicleide", is_available=False)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("mute", ["Cup mute"]),
        ("BALLADS", ["Cup mute"]),
        ("fibre cup", ["Cup mute"]),
        ("fibre oil", []),
        # Withdrawn products are not found.
        ("ophicleide", []),
        ("%", []),
        ("' OR 1=1 --", []),
        ("mute\x00oboe", []),
        ("<script>alert(1)</script>", []),
    ],
)
def test_a_search_finds_what_has_every_word(
    client: Client, shelf: None, search: str, found: list[str]
) -> None:
    page = client.get("/", {"q": search})

    assert page.status_code == 200
    assert names(page) == found
    assert b"<script>alert" not in page.content


def test_a_search_that_finds_nothing_says_what_to_do(
    client: Client, shelf: None
) -> None:
    assert "Try a shorter word" in client.get("/", {"q": "tuba"}).content.decode()


def test_a_category_shows_its_own(client: Client, shelf: None) -> None:
    assert names(client.get("/", {"category": "care"})) == [
        "Cup mute",
        "Quickwater valve oil",
    ]


@pytest.mark.parametrize("forged", ["tubas", "\x00", "x" * 9000, "../../etc"])
def test_a_category_that_is_none_shows_everything(
    client: Client, shelf: None, forged: str
) -> None:
    assert len(names(client.get("/", {"category": forged}))) == 2


def test_an_empty_shop_says_how_to_stock_it(client: Client) -> None:
    assert "seed_shop" in client.get("/").content.decode()


@pytest.mark.parametrize(
    ("stock", "message", "not_told"),
    [
        ("two_in_stock", "Only 2 left", "In stock"),
        ("nothing_in_stock", "On back-order: ships later", "In stock"),
        # Nobody can tell: no stock is shown, and nothing breaks.
        ("stock_is_down", "Add to basket", "stock stock--"),
        ("no_such_name", "Add to basket", "stock stock--"),
    ],
)
def test_the_product_page_tells_what_is_left(
    client: Client, settings: Any, stock: str, message: str, not_told: str
) -> None:
    settings.SHOP = {**settings.SHOP, "AVAILABILITY": f"{STOCK}{stock}"}
    page = client.get(a_product().get_absolute_url()).content.decode()

    assert message in page
    assert not_told not in page
    assert "€6.90" in page


def test_without_an_inventory_no_stock_is_shown(client: Client, settings: Any) -> None:
    settings.SHOP = {**settings.SHOP, "AVAILABILITY": ""}
    page = client.get(a_product().get_absolute_url()).content.decode()

    assert "stock stock--" not in page


def test_a_product_that_is_sold_out_can_be_ordered(
    client: Client, settings: Any
) -> None:
    settings.SHOP = {**settings.SHOP, "AVAILABILITY": f"{STOCK}nothing_in_stock"}

    assert put_in_basket(client, a_product()).status_code == 302
    assert "On back-order" in client.get("/basket/").content.decode()


def test_a_withdrawn_product_says_so_and_is_not_sold(client: Client) -> None:
    product = a_product(is_available=False)

    assert "no longer sell" in client.get(product.get_absolute_url()).content.decode()
    assert put_in_basket(client, product).status_code == 410
    assert "Your basket is empty" in client.get("/basket/").content.decode()


def test_a_product_that_never_was_is_not_found(client: Client) -> None:
    page = client.get("/products/tuba/")

    assert page.status_code == 404
    assert "missed its entry" in page.content.decode()


def test_a_product_without_a_picture_gets_the_drawing_for_all(client: Client) -> None:
    a_product()

    assert "shop/no-picture" in client.get("/").content.decode()
