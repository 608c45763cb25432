"""Every page of the store and of the subscribers is accessible, in every look."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import assert_accessible, assert_accessible_as_it_is
from tests.browser.conftest import watched
from tests.browser.visitors import (
    DECLINED,
    LATE_YES,
    fill_basket,
    fill_form,
    log_in,
    pay,
    sign_in,
)
from tests.servers.stack import Stack

pytestmark = pytest.mark.xdist_group("browser")

SHELVES = """
import json
from shop.models import Product
from subscribers.inventory.models import StockLevel
from subscribers.order_history.links import LIFETIME, _box
others = Product.objects.exclude(slug="quickwater-valve-oil").order_by("pk")
sold_out, withdrawn = others[:2]
StockLevel.objects.filter(sku=sold_out.sku).update(on_hand=0)
Product.objects.filter(pk=withdrawn.pk).update(is_available=False)
print(json.dumps({"sold_out": sold_out.get_absolute_url(),
    "withdrawn": withdrawn.get_absolute_url(),
    "expired": _box().encrypt_at_time(b"somebody", 1).decode()}))
"""
EVERY_STATE = "from tests.browser.purchases import *; show_every_state('{}')"
STATES = ["waiting", "working", "retrying", "done", "attention", "cancelled"]


@pytest.fixture(scope="module")
def shelves(site: Stack) -> dict[str, str]:
    """A product that is sold out, one no longer sold, and a link from long ago."""
    addresses: dict[str, str] = json.loads(site.manage("shell", "-v0", "-c", SHELVES))
    return addresses


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?q=oil",
        "/?q=nothing-like-this",
        "/products/quickwater-valve-oil/",
        "{sold_out}",
        "{withdrawn}",
        "/basket/",
        "/account/orders/",
        "/account/orders/unknown/",
        "/account/orders/{expired}/",
        "/docs/",
        pytest.param("/docs/settings/", marks=pytest.mark.long),
        "/docs/concepts/",
        "/docs/?q=lease+seconds",
    ],
)
def test_what_anybody_may_see_is_accessible(
    page: Page, site: Stack, shelves: dict[str, str], path: str
) -> None:
    page.goto(site.url + path.format(**shelves))
    page.locator("h1").wait_for()

    assert_accessible(page)


def test_the_way_to_an_order_is_accessible(page: Page, site: Stack) -> None:
    fill_basket(page, site)
    assert_accessible(page)
    page.goto(f"{site.url}/basket/")
    assert_accessible(page)
    # Only the shop itself is to judge.
    page.evaluate("document.getElementById('basket').noValidate = true")
    page.locator("[name^=quantity-]").fill("0")
    page.get_by_role("button", name="Update quantities").last.click()
    expect(page.get_by_text("Choose at least 1.")).to_be_visible()
    assert_accessible(page)

    page.goto(f"{site.url}/checkout/")
    pay(page)
    expect(page.get_by_role("alert")).to_contain_text("another look")
    assert_accessible(page)
    fill_form(page, card=DECLINED)
    pay(page)
    expect(page.get_by_role("alert")).to_contain_text("declined")
    assert_accessible(page)


def test_waiting_for_the_bank_is_accessible(page: Page, site: Stack) -> None:
    fill_basket(page, site)
    fill_form(page, card=LATE_YES)
    # Once the bank answers, it is an order of this address.
    page.locator("[name=email]").fill("late@example.com")
    # The bank never answers: what the page asks again is answered with "not yet".
    page.route(
        re.compile("/checkout/.+"),
        lambda route: (
            route.fulfill(status=204)
            if "hx-request" in route.request.headers
            else route.continue_()
        ),
    )
    pay(page)

    expect(page.get_by_role("heading", name="Your bank takes its time")).to_be_visible()
    assert_accessible(page)


def test_an_order_is_accessible_in_every_state(
    page: Page, site: Stack, bought: dict[str, str]
) -> None:
    page.goto(f"{site.url}/orders/{bought['public_id']}/")
    expect(page.get_by_text("All done.")).to_be_visible()
    assert_accessible(page)

    site.manage("shell", "-v0", "-c", EVERY_STATE.format(bought["public_id"]))
    page.reload()
    for state in STATES:
        expect(page.locator(f".progress__item--{state}").first).to_be_visible()
    assert_accessible(page)
    sign_in(page, site, "demo")
    page.goto(f"{site.url}/orders/{bought['public_id']}/")
    expect(page.locator(".progress__story").first).to_be_visible()
    expect(page.locator(".progress__item--held").first).to_be_visible()
    assert_accessible(page)


@pytest.mark.long
def test_a_history_and_a_mail_are_accessible(
    page: Page, site: Stack, bought: dict[str, str]
) -> None:
    page.goto(site.url + bought["history"])
    expect(page.locator(".history-card")).to_have_count(1)
    assert_accessible(page)

    page.goto(f"{site.url}/mail/")
    assert_accessible(page)
    page.locator(".mails a").first.click()
    mail = page.locator("iframe").get_attribute("src")
    assert_accessible(page)
    page.goto(f"{site.url}{mail}")
    expect(page.get_by_role("heading", name="Thank you for your order")).to_be_visible()
    assert_accessible(page)


@pytest.mark.long
@pytest.mark.parametrize(
    "path",
    [
        "/sales/",
        "/sales/?from=never",
        "/admin/fulfilment/shipment/pick-lists/?ids={shipment}",
    ],
)
def test_what_staff_see_outside_the_admin_is_accessible(
    page: Page, site: Stack, bought: dict[str, str], path: str
) -> None:
    sign_in(page, site, "demo")
    page.goto(site.url + path.format(**bought))
    page.locator("h1").wait_for()

    assert_accessible(page)


@pytest.mark.parametrize(
    "theme", ["dark", pytest.param("light", marks=pytest.mark.long)]
)
def test_coming_and_going_are_accessible(
    browser: Browser, site: Stack, theme: str
) -> None:
    # The admin's theme asks for the system's colours once, while a page loads.
    with watched(browser, color_scheme=theme, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(f"{site.url}/admin/")
        assert_accessible_as_it_is(page)
        log_in(page, "demo", "wrong")
        expect(page.get_by_text("Please enter the correct")).to_be_visible()
        assert_accessible_as_it_is(page)

        log_in(page, "demo", "fanfare")
        page.wait_for_url(f"{site.url}/admin/")
        page.locator("form[action$='/logout/']").evaluate("form => form.submit()")
        page.wait_for_url(f"{site.url}/admin/logout/")
        page.locator("h1").wait_for()
        assert_accessible_as_it_is(page)
        expect(page.locator("html.dark")).to_have_count(int(theme == "dark"))
