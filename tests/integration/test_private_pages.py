"""Pages of one person stay out of search engines, caches, referrers and logs."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from config.log_format import SecretAddressFormatter
from shop.models import Order
from subscribers.order_history.links import history_link
from tests import containers
from tests.integration.shopping import DETAILS, a_product, check_out, put_in_basket
from tests.integration.staff import a_person

pytestmark = pytest.mark.django_db
PERSONAL = (
    "Ada Horn",
    "ada@example.com",
    "Bandstand Lane 4",
    "10115",
    "Berlin",
    "ending in",
)


@pytest.fixture
def order(client: Client) -> Order:
    put_in_basket(client, a_product())
    check_out(client)
    return Order.objects.select_related("intent").get()


# ── Headers ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "referrer"),
    [
        ("/orders/{order}/", "no-referrer"),
        ("/orders/{order}/progress/", "no-referrer"),
        ("/orders/unknown/", "no-referrer"),
        ("/checkout/{key}/", "no-referrer"),
        ("{link}", "no-referrer"),
        ("/account/orders/forged/", "no-referrer"),
        ("/portal/open/forged/", "no-referrer"),
        # Without a link, and with one: its address has no secret.
        ("/portal/", "same-origin"),
        # Their forms need the referrer; their addresses are no secret.
        ("/account/orders/", "same-origin"),
        ("/checkout/", "same-origin"),
        ("/basket/", "same-origin"),
        ("/admin/", "same-origin"),
        ("/admin/login/", "same-origin"),
        ("/sales/", "same-origin"),
        ("/mail/", "same-origin"),
    ],
)
def test_a_page_of_one_person_is_not_listed_not_kept_and_its_address_not_passed_on(
    client: Client, order: Order, path: str, referrer: str
) -> None:
    link = history_link("/shop", order.customer_id)
    known = {"order": order.public_id, "key": order.intent.key, "link": link}

    answer = client.get(path.format(**known))

    assert "noindex" in answer["X-Robots-Tag"]
    assert {"no-store", "private"} <= set(answer["Cache-Control"].split(", "))
    assert answer["Referrer-Policy"] == referrer


def test_the_catalogue_is_for_everybody(client: Client) -> None:
    answer = client.get(a_product().get_absolute_url())

    assert "X-Robots-Tag" not in answer
    assert "no-store" not in answer.get("Cache-Control", "")


# ── What the address of an order shows ───────────────────────────────────────


def assert_shown(client: Client, order: Order, *, is_customer_shown: bool) -> None:
    page = client.get(order.get_absolute_url()).content.decode()
    assert order.number in page
    assert "Quickwater valve oil" in page
    shown = [text for text in PERSONAL if text in page]
    assert shown == (list(PERSONAL) if is_customer_shown else [])
    assert DETAILS["name"] in PERSONAL


def test_the_browser_that_bought_shows_the_customer(
    client: Client, order: Order
) -> None:
    assert_shown(client, order, is_customer_shown=True)


def test_the_address_alone_shows_no_name_and_no_street(order: Order) -> None:
    assert_shown(Client(), order, is_customer_shown=False)


def test_another_customer_with_the_address_sees_no_name_and_no_street(
    order: Order,
) -> None:
    other = Client()
    put_in_basket(other, a_product("OTH-1"))
    check_out(other, name="Bob Other", email="bob@example.com")

    assert_shown(other, order, is_customer_shown=False)


@pytest.mark.parametrize(
    ("is_staff", "permission", "is_shown"),
    [(True, "view_order", True), (True, "view_product", False),
     (False, "view_order", False)],
)  # fmt: skip
def test_only_staff_who_may_view_orders_see_the_customer(
    order: Order, is_staff: bool, permission: str, is_shown: bool
) -> None:
    client = a_person("sam")
    user = User.objects.get()
    User.objects.update(is_staff=is_staff)
    user.user_permissions.set(Permission.objects.filter(codename=permission))

    assert_shown(client, order, is_customer_shown=is_shown)


def test_no_title_has_the_secret_of_an_order(client: Client, order: Order) -> None:
    page = client.get(order.get_absolute_url()).content.decode()

    [title] = re.findall("<title>(.*?)</title>", page, re.DOTALL)
    assert order.number in title
    assert order.public_id not in title


# ── Logs ─────────────────────────────────────────────────────────────────────


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the site's own handler writes."""
    written = io.StringIO()
    [handler] = [
        known
        for known in logging.getLogger().handlers
        if isinstance(known.formatter, SecretAddressFormatter)
    ]
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(written)
    yield written
    handler.setStream(before)


@pytest.mark.parametrize(
    "path",
    [
        "/orders/{}/",
        "/orders/{}/progress/",
        "/checkout/{}/",
        "/account/orders/{}/",
        "/portal/open/{}/",
        "/portal/open/{}/more/",
    ],
)
def test_a_failed_request_logs_no_secret_address(
    client: Client, log: io.StringIO, path: str
) -> None:
    client.get(path.format("s3cret"))

    assert re.search("Not Found: |Forbidden: ", log.getvalue())
    assert path.partition("{")[0] in log.getvalue()
    assert "s3cret" not in log.getvalue()


def test_a_page_that_fails_logs_no_secret_address(
    client: Client, order: Order, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(code: str) -> str:
        raise RuntimeError(f"no country for {order.get_absolute_url()}")

    monkeypatch.setattr("shop.views.order.country_name", fail)
    client.raise_request_exception = False

    assert client.get(order.get_absolute_url()).status_code == 500
    assert "RuntimeError: no country for /orders/***/" in log.getvalue()
    assert order.public_id not in log.getvalue()


def test_no_web_server_of_ours_writes_an_access_log() -> None:
    servers = [argv for _, argv in containers.programs() if "granian" in argv[0]]

    assert servers
    assert not [argv for argv in servers if "--access-log" in argv]


def test_a_link_opens_the_page_without_its_token_in_any_later_address(
    client: Client, order: Order
) -> None:
    answer: Any = client.get(history_link("/shop", order.customer_id), follow=True)

    assert answer.redirect_chain == [("/account/orders/", 302)]
