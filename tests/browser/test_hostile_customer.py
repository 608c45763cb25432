"""A customer who types code into every field: it is read everywhere, and never run.

(The context of these tests fails them for a request to another host, or one that the
policy refused.)
"""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page

from subscribers.plain_text import plain
from tests.browser.purchases import purchase
from tests.browser.visitors import sign_in
from tests.servers.stack import Stack

# tests/integration/test_hostile_pages.py reads the same pages without a browser.
pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.long]

# Each runs in another place: between tags, in an attribute, in an expression that the
# admin's theme evaluates, in a template, in a raw text element.
NAME = "<script>hurt=1</script>{{7*7}}"
LINE1 = '"><img src=//evil.example/x onerror=hurt=1>'
LINE2 = "'+(window.hurt=1)+'{% now 'Y' %}\u200bx"
CITY = "</title></textarea><svg onload=hurt=1>${7*7}"
POSTAL_CODE = "<b>1</b>{{7*7}}"
PRODUCT = "<script>hurt=1</script>'+(window.hurt=1)+'\"><img src=//evil.example/x>"
ADDRESS = (NAME, LINE1, LINE2, CITY, POSTAL_CODE)
PAGES = {
    "/orders/{public_id}/": (*ADDRESS, PRODUCT),
    "{history}": (PRODUCT,),
    "/?q=hurt": (PRODUCT,),
    "/?category=care": (PRODUCT,),
    "/products/new-1/": (PRODUCT,),
    "/mail/": (NAME,),
    "/admin/shop/order/": (NAME,),
    "/admin/shop/order/{order}/change/": ADDRESS,
    "/admin/shop/product/": (PRODUCT,),
    "/admin/router/eventrecord/{event}/change/": (NAME, CITY),
    "/admin/fulfilment/shipment/{shipment}/change/": ADDRESS,
    "/admin/fulfilment/shipment/pick-lists/?ids={shipment}": (*ADDRESS, PRODUCT),
    "/admin/customer_profiles/customerprofile/": (NAME,),
    "/admin/customer_profiles/customerprofile/{profile}/change/": (NAME,),
    "/admin/order_history/purchaserecord/{record}/change/": (PRODUCT,),
    "/admin/inventory/stocklevel/": (PRODUCT,),
    "/sales/": (PRODUCT,),
}


@pytest.fixture(scope="module")
def hostile(site: Stack) -> dict[str, str]:
    return purchase(
        site,
        product_name=PRODUCT,
        name=NAME,
        line1=LINE1,
        line2=LINE2,
        city=CITY,
        postal_code=POSTAL_CODE,
    )


def test_what_a_hostile_customer_typed_is_text_on_every_page(
    page: Page, site: Stack, hostile: dict[str, str]
) -> None:
    sign_in(page, site, "demo")
    for path, texts in PAGES.items():
        page.goto(site.url + path.format(**hostile))
        page.locator("h1, h2").first.wait_for()
        assert_shown(page, texts, path)


def test_what_a_hostile_customer_typed_is_text_in_the_mail(
    context: BrowserContext, site: Stack, hostile: dict[str, str]
) -> None:
    page = context.new_page()
    page.goto(f"{site.url}/mail/")
    page.locator(".mails a", has_text=NAME).click()
    # A mail program makes links by itself: there the texts are without addresses.
    texts = tuple(plain(text) for text in (*ADDRESS, PRODUCT))
    assert_shown(page, texts, "the mail as text")

    page.goto(f"{site.url}{page.locator('iframe').get_attribute('src')}")
    assert_shown(page, texts, "the mail as a page")


def test_what_a_hostile_customer_typed_is_given_back_in_the_form(
    page: Page, site: Stack
) -> None:
    page.goto(f"{site.url}/products/quickwater-valve-oil/")
    page.get_by_role("button", name="Add to basket").click()
    page.goto(f"{site.url}/checkout/")
    page.locator("[name=line1]").fill(LINE1)
    page.locator("[name=city]").fill(CITY)
    page.get_by_role("button", name="Pay").click()
    page.get_by_role("alert").wait_for()

    assert page.locator("[name=line1]").input_value() == LINE1
    assert page.locator("[name=city]").input_value() == CITY
    assert page.evaluate("window.hurt") is None


def assert_shown(page: Page, texts: tuple[str, ...], where: str) -> None:
    shown = page.evaluate("document.body.textContent")
    assert [text for text in texts if text not in shown] == [], where
    assert page.evaluate("window.hurt") is None, where
