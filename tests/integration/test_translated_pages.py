"""No page of the store, of the portal or for customers has a word in English alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils.translation import gettext_lazy

from router import registry
from router.models import BreakerState, Subscriber, SubscriberState
from router.portal.words import NEWS
from shop.models import Order
from subscribers.order_history.handler import keep_history
from subscribers.order_history.links import history_link
from tests.integration.events import purchase
from tests.integration.marked import unmarked_words
from tests.integration.portal import Owner, a_link, an_owner, things_of
from tests.integration.rows import a_delivery, a_subscriber, an_event
from tests.integration.shopping import (
    DECLINED,
    DETAILS,
    a_product,
    check_out,
    filled,
    put_in_basket,
    two_in_stock,
)

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("empty_router", "marked")]
DATA = (
    *("Quickwater valve oil", "Thin and quick.", "Oil & care", "CAR-301", "CAR", "oil"),
    *filter(None, DETAILS.values()),
    "Deutschland",
)
BOUGHT = ("The mute", "The oil", "mute", "oil", "ord", "EUR", "€")


@pytest.fixture
def visitor(client: Client, marked: None) -> Client:
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    return client


def unmarked(answer: Any, *data: str) -> list[str]:
    page = answer.content.decode()
    assert "⟦" in page
    return unmarked_words(page, *DATA, *data)


def test_an_unmarked_word_is_found() -> None:
    page = '<p title="⟦a⟧">⟦Pay <b>⟦1 %⟧</b> now⟧</p><img alt="Left"><p>Behind</p>'
    assert unmarked_words(page) == ["Behind", "Left"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?q=zzzz",
        "/?q=valve",
        "/?category=care",
        "/products/car-301/",
        "/basket/",
        "/nowhere/",
        "/account/orders/",
        "/account/orders/broken/",
        "/mail/",
    ],
)
def test_a_page_of_the_store(visitor: Client, path: str, settings: Any) -> None:
    settings.DEBUG = path == "/mail/"
    settings.SHOP = {
        **settings.SHOP,
        "AVAILABILITY": f"{two_in_stock.__module__}.two_in_stock",
    }
    a_product()
    assert not unmarked(visitor.get(path), "zzzz", "valve")


def test_a_product_that_is_not_sold(visitor: Client) -> None:
    gone = a_product(is_available=False)
    assert not unmarked(visitor.get(gone.get_absolute_url()))


def test_an_empty_shop(visitor: Client) -> None:
    assert not unmarked(visitor.get("/"))


def test_buying(visitor: Client) -> None:
    product = a_product()
    assert not unmarked(put_in_basket(visitor, product, "many"))
    put_in_basket(visitor, product, 2)
    assert not unmarked(visitor.get("/basket/"))
    assert not unmarked(visitor.post("/basket/", {"quantity-CAR-301": "0"}))
    assert not unmarked(visitor.get("/checkout/"))
    wrong = {"name": "", "email": "x", "card_number": "1", "card_expiry": "1"}
    form = filled(visitor.get("/checkout/"), **wrong)
    assert not unmarked(visitor.post("/checkout/", form))
    assert not unmarked(check_out(visitor, DECLINED))
    assert not unmarked(visitor.get(check_out(visitor)["Location"]))


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ("PENDING", {}),
        ("PENDING", {"attempts": 1, "failures": 1}),
        ("LEASED", {}),
        ("ACKNOWLEDGED", {}),
        ("DEAD", {}),
        ("CANCELLED", {}),
    ],
)
def test_a_step_of_an_order(
    visitor: Client, state: str, fields: dict[str, int]
) -> None:
    put_in_basket(visitor, a_product())
    page = check_out(visitor)["Location"]
    title = gettext_lazy("Your receipt by mail")
    registry.subscriber("a", events=["*"], customer_title=title)(repr)
    event = an_event(source="/shop", subject=Order.objects.get().public_id)
    a_delivery(event, a_subscriber("a"), state, **fields)
    assert "progress__item" in visitor.get(page).content.decode()
    assert not unmarked(visitor.get(page))
    assert not unmarked(visitor.get(f"{page}progress/"))


def test_a_customers_orders(visitor: Client) -> None:
    keep_history(purchase())
    page = visitor.get(history_link("/shop", "cus_1"), follow=True)
    assert not unmarked(page, *BOUGHT)


def test_sales(admin_client: Client) -> None:
    keep_history(purchase())
    admin_client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    page = admin_client.get("/sales/", {"from": "2026-11-01", "to": "2026-11-30"})
    assert not unmarked(page, *BOUGHT)
    page = admin_client.get("/sales/", {"from": "2026-11-02", "to": "2026-11-01"})
    assert not unmarked(page, *BOUGHT)


@pytest.fixture
def owner() -> Owner:
    own = things_of("own")
    found = an_owner(*own.rows)
    found.client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    return found


OWN = (
    "https://own.example/hook?token=…",
    "https://",
    "own-hook",
    "own-pull",
    "own-answer",
    "own-key",
    "own.thing",
    "HTTP",
    "Ada",
)
ENDPOINTS = ("endpoints/own-hook/", "endpoints/own-pull/")


@pytest.mark.parametrize(
    "path",
    [
        "",
        *ENDPOINTS,
        *(f"{each}types/" for each in ENDPOINTS),
        *(f"{each}attempts/" for each in ENDPOINTS),
        "endpoints/own-hook/attempts/?failed=1",
        "endpoints/nowhere/",
    ],
)
def test_a_page_of_the_portal(owner: Owner, path: str) -> None:
    assert not unmarked(owner.get(path), *OWN)


def test_the_page_of_a_delivery(owner: Owner) -> None:
    hook = Subscriber.objects.get(name="own-hook")
    path = f"{ENDPOINTS[0]}deliveries/{hook.deliveries.get().pk}/"
    assert not unmarked(owner.get(path), *OWN)


@pytest.mark.parametrize("news", NEWS)
def test_what_was_done_in_the_portal(owner: Owner, news: str) -> None:
    assert not unmarked(owner.get(ENDPOINTS[0], done=news), *OWN)


@pytest.mark.parametrize(
    "fields",
    [
        {"state": SubscriberState.DISABLED},
        {"state": SubscriberState.PAUSED},
        {"state": SubscriberState.PAUSED, "state_reason": "Paused by portal: Ada"},
        {"breaker": BreakerState.OPEN},
        {"breaker": BreakerState.DRAINING},
    ],
)
def test_a_situation_of_an_endpoint(owner: Owner, fields: dict[str, str]) -> None:
    Subscriber.objects.filter(name="own-hook").update(**fields)
    assert not unmarked(owner.get(), *OWN)
    assert not unmarked(owner.get(ENDPOINTS[0]), *OWN)


@pytest.mark.parametrize(
    "path", ["secret/", "rotate/", "address/", "keys/", "recover/", "types/save/"]
)
def test_what_the_portal_answers_to_a_form(owner: Owner, path: str) -> None:
    """Without a field that the form has: with the reason, where there is one."""
    for each in ENDPOINTS:
        answer = owner.post(f"{each}{path}")
        assert answer.status_code == 302 or not unmarked(answer, *OWN)


def test_the_portal_before_it_is_open(owner: Owner, client: Client) -> None:
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    _, token = a_link(Subscriber.objects.get(name="own-hook"))
    assert not unmarked(client.get(f"/portal/open/{token}/"))
    assert not unmarked(client.get("/portal/"))
    assert not unmarked(client.post("/portal/leave/"))
