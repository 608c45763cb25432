"""A customer for tests: fills baskets and forms the way a browser does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from django.test import Client

from shop.models import Category, Product

PAYS = "4242 4242 4242 4242"
DECLINED = "4000 0000 0000 0002"
LATE_YES = "4000 0000 0000 0119"
LATE_NO = "4000 0000 0000 0259"

DETAILS = {
    "name": "Ada Horn",
    "email": "ada@example.com",
    "line1": "Bandstand Lane 4",
    "line2": "",
    "postal_code": "10115",
    "city": "Berlin",
    "country": "DE",
}


def a_product(sku: str = "CAR-301", **fields: Any) -> Product:
    category, _ = Category.objects.get_or_create(slug="care", name="Oil & care")
    defaults: dict[str, Any] = {
        "slug": sku.lower(),
        "name": "Quickwater valve oil",
        "summary": "Thin and quick.",
        "price_minor": 690,
        "category": category,
        "keywords": "oil, pistons",
    }
    return Product.objects.create(sku=sku, **{**defaults, **fields})


def put_in_basket(client: Client, product: Product, quantity: object = 1) -> Any:
    return client.post(product.get_absolute_url(), {"quantity": quantity})


def hidden_fields(page: Any) -> dict[str, str]:
    """`key` and `seen` of the form on a checkout page."""
    matches = re.findall(
        r'<input type="hidden" name="(key|seen)" value="([^"]*)">',
        page.content.decode(),
    )
    return dict(matches)


def filled(page: Any, card: str = PAYS, **changes: str) -> dict[str, str]:
    """What a browser would send from this checkout page."""
    return {
        **DETAILS,
        "card_number": card,
        "card_expiry": "12/49",
        "card_cvc": "123",
        **hidden_fields(page),
        **changes,
    }


def check_out(client: Client, card: str = PAYS, **changes: str) -> Any:
    """From a filled basket to what the pay button answers."""
    form = filled(client.get("/checkout/"), card, **changes)
    return client.post("/checkout/", form)


def nothing_in_stock(skus: Sequence[str]) -> Mapping[str, int]:
    return dict.fromkeys(skus, 0)


def two_in_stock(skus: Sequence[str]) -> Mapping[str, int]:
    return dict.fromkeys(skus, 2)


def stock_is_down(skus: Sequence[str]) -> Mapping[str, int]:
    raise ConnectionError("the warehouse does not answer")


def another_key() -> str:
    return str(uuid4())
