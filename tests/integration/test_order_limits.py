"""One network and one mail address can't order without end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client

from shop import order_limits
from shop.models import CheckoutIntent, Order, Product, SandboxCharge
from tests.integration.shopping import (
    DECLINED,
    PAYS,
    a_product,
    check_out,
    filled,
    put_in_basket,
)

pytestmark = pytest.mark.django_db
HOME, ELSEWHERE = "192.0.2.9", "198.51.100.1"
ADA = "ada@example.com"


@pytest.fixture
def product() -> Product:
    return a_product()


@pytest.fixture
def limits(settings: Any) -> Any:
    """Two checkouts of a network and two orders of a mail address are the limit."""
    settings.SHOP = {
        **settings.SHOP,
        "MAX_CHECKOUTS_PER_NETWORK": 2,
        "MAX_ORDERS_PER_EMAIL": 2,
    }
    return settings


def press_pay(
    product: Product, address: str, email: str, *, card: str = PAYS, **headers: str
) -> int:
    """The status of a new visitor's checkout."""
    client = Client(REMOTE_ADDR=address, headers=headers)
    put_in_basket(client, product)
    return int(check_out(client, card, email=email).status_code)


@pytest.mark.parametrize(
    ("address", "email", "status"),
    [
        (HOME, "third@example.com", 429),
        (ELSEWHERE, "third@example.com", 302),
        ("192.0.2.10", "third@example.com", 302),
    ],
)
@pytest.mark.parametrize("card", [PAYS, DECLINED])
@pytest.mark.usefixtures("limits")
def test_a_network_has_a_limit_that_declined_cards_use_up_too(
    product: Product, card: str, address: str, email: str, status: int
) -> None:
    press_pay(product, HOME, "first@example.com", card=card)
    press_pay(product, HOME, "second@example.com", card=card)

    assert press_pay(product, address, email) == status


@pytest.mark.parametrize(
    ("address", "status"),
    [("2001:db8:1:2:ffff::7", 429), ("2001:db8:1:3::1", 302)],
)
@pytest.mark.usefixtures("limits")
def test_all_addresses_of_one_ipv6_network_share_its_limit(
    product: Product, address: str, status: int
) -> None:
    press_pay(product, "2001:db8:1:2::1", "first@example.com")
    press_pay(product, "2001:db8:1:2::2", "second@example.com")

    assert press_pay(product, address, "third@example.com") == status


@pytest.mark.usefixtures("limits")
def test_a_client_can_not_invent_another_network(product: Product) -> None:
    statuses = [
        press_pay(product, HOME, f"{n}@example.com", x_forwarded_for=f"203.0.113.{n}")
        for n in range(3)
    ]

    assert statuses == [302, 302, 429]


def test_behind_a_proxy_each_client_has_its_own_limit(
    limits: Any, product: Product
) -> None:
    limits.TRUSTED_PROXIES = 1

    statuses = [
        press_pay(
            product, "10.0.0.2", f"{n}@example.com", x_forwarded_for=f"203.0.113.{n}"
        )
        for n in range(3)
    ]

    assert statuses == [302, 302, 302]


@pytest.mark.parametrize(
    ("email", "status"),
    [
        (ADA, 429),
        ("Ada@Example.COM", 429),
        ("ada+three@example.com", 429),
        ("bob@example.com", 302),
    ],
)
@pytest.mark.usefixtures("limits")
def test_a_mail_address_has_a_limit_from_all_networks(
    product: Product, email: str, status: int
) -> None:
    press_pay(product, "192.0.2.1", ADA)
    press_pay(product, "192.0.2.2", "ada+two@example.com")

    assert press_pay(product, ELSEWHERE, email) == status


@pytest.mark.usefixtures("limits")
def test_declined_cards_do_not_lock_the_owner_of_a_mail_address_out(
    product: Product,
) -> None:
    for host in range(4):
        press_pay(product, f"192.0.2.{host}", ADA, card=DECLINED)

    assert press_pay(product, ELSEWHERE, ADA) == 302


@pytest.mark.usefixtures("limits")
def test_a_limit_sells_nothing_keeps_the_basket_and_says_when_to_come_back(
    product: Product,
) -> None:
    for host in range(2):
        press_pay(product, f"192.0.2.{host}", ADA)
    charges = SandboxCharge.objects.count()
    client = Client(REMOTE_ADDR=ELSEWHERE)
    put_in_basket(client, product, 3)

    answer = check_out(client)

    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 3600
    page = answer.content.decode()
    assert "You have not been charged" in page
    assert "in 60 minutes" in page
    assert 'value="Ada Horn"' in page
    assert client.session["shop.basket"]["lines"] == {product.sku: 3}
    assert (Order.objects.count(), SandboxCharge.objects.count()) == (2, charges)
    assert CheckoutIntent.objects.count() == 2
    later = timedelta(hours=1, seconds=1)
    CheckoutIntent.objects.update(created_at=F("created_at") - later)
    assert client.post("/checkout/", filled(answer)).status_code == 302


@pytest.mark.usefixtures("limits")
def test_a_form_that_is_sent_again_leads_to_its_order_whatever_the_limit(
    product: Product,
) -> None:
    client = Client(REMOTE_ADDR=HOME)
    put_in_basket(client, product)
    form = filled(client.get("/checkout/"))
    bought = client.post("/checkout/", form)
    press_pay(product, HOME, ADA)

    response = client.post("/checkout/", form)

    assert (response.status_code, response["Location"]) == (302, bought["Location"])


def test_a_limit_of_0_is_none(limits: Any, product: Product) -> None:
    unlimited = {"MAX_CHECKOUTS_PER_NETWORK": 0, "MAX_ORDERS_PER_EMAIL": 0}
    limits.SHOP = {**limits.SHOP, **unlimited}

    assert {press_pay(product, HOME, ADA) for _ in range(4)} == {302}


@pytest.mark.usefixtures("limits")
def test_where_the_client_has_no_address_only_the_mail_address_counts(
    product: Product,
) -> None:
    statuses = [press_pay(product, "", f"{n}@example.com") for n in range(3)]

    assert statuses == [302, 302, 302]


def test_no_address_is_kept_of_a_buyer(product: Product) -> None:
    press_pay(product, HOME, ADA)

    kept = str(CheckoutIntent.objects.values().get())
    assert HOME not in kept
    assert ADA not in kept


@pytest.mark.parametrize("field", ["network_digest", "email_digest"])
def test_checkouts_are_counted_by_an_index(field: str) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # A table of a few rows is read whole, whatever index it has.
            cursor.execute("SET LOCAL enable_seqscan = off")
    by = order_limits.buyer(client_address=HOME, email=ADA)
    intents = CheckoutIntent.objects.filter(**{field: getattr(by, field)})

    plan = intents.order_by("-created_at")[59:60].explain()

    assert f"intent_of_{field.partition('_')[0]}" in plan
