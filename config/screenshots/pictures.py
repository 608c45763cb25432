"""Each picture of the documentation: its name, and the way to what it shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from config.sign_in.demo_login import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Page

CARD = {
    "name": "Ada Horn",
    "email": "ada@example.com",
    "line1": "Bandstand Lane 4",
    "postal_code": "10115",
    "city": "Berlin",
    "card_number": "4242 4242 4242 4242",
    "card_expiry": "12 / 39",
    "card_cvc": "123",
}
Way = Callable[["Page", str], None]


def sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}/admin/")
    page.locator("[name=username]").fill("demo")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url(f"{url}/admin/")


def an_order(page: Page, url: str) -> None:
    """The second one: at the first a fresh site loads what it needs."""
    buy(page, url)
    buy(page, url)


def buy(page: Page, url: str) -> None:
    page.goto(f"{url}/products/quickwater-valve-oil/")
    page.get_by_role("button", name="Add to basket").click()
    page.goto(f"{url}/checkout/")
    for name, value in CARD.items():
        page.locator(f"[name={name}]").fill(value)
    page.locator("[name=country]").select_option("DE")
    page.get_by_role("button", name=re.compile("^Pay")).click()
    page.get_by_text("All done.").wait_for()


def the_dashboard(page: Page, url: str) -> None:
    page.goto(f"{url}/admin/")
    page.get_by_text("unreachable since").wait_for()


def an_unreachable_receiver(page: Page, url: str) -> None:
    the_dashboard(page, url)
    page.get_by_role("link", name="ERP", exact=True).first.click()
    page.get_by_role("button", name="Close the breaker").wait_for()


def a_cause(page: Page, url: str) -> None:
    the_dashboard(page, url)
    page.get_by_role("link", name="Fix Loyalty points").click()
    page.get_by_role("button", name=re.compile("at a ramp")).wait_for()


def a_failed_task(page: Page, url: str) -> None:
    a_cause(page, url)
    page.locator("[aria-labelledby=newest] tbody th a").first.click()
    page.get_by_role("button", name="Retry", exact=True).wait_for()


def a_story(page: Page, url: str) -> None:
    a_failed_task(page, url)
    page.locator(".fan-facts a[href*=eventrecord]").first.click()
    page.get_by_role("link", name="Story", exact=True).click()
    page.get_by_role("heading", name=re.compile("for Loyalty points")).wait_for()
    page.get_by_role("heading", name=re.compile("for ERP")).scroll_into_view_if_needed()


#: Before something goes wrong.
CALM: dict[str, Way] = {"order": an_order}
BROKEN: dict[str, Way] = {
    "dashboard": the_dashboard,
    "unreachable": an_unreachable_receiver,
    "cause": a_cause,
    "failed-task": a_failed_task,
    "story": a_story,
}
