"""What customers and staff do in a browser."""

from __future__ import annotations

import re

from playwright.sync_api import Page

from tests.servers.stack import Stack

PAYS, DECLINED = "4242 4242 4242 4242", "4000 0000 0000 0002"
LATE_YES = "4000 0000 0000 0119"


def fill_basket(page: Page, site: Stack) -> None:
    page.goto(f"{site.url}/products/quickwater-valve-oil/")
    page.get_by_role("button", name="Add to basket").click()
    page.goto(f"{site.url}/checkout/")


def fill_form(page: Page, *, card: str = PAYS, name: str = "Ada Horn") -> None:
    for label, value in {
        "name": name,
        "email": "ada@example.com",
        "line1": "Bandstand Lane 4",
        "postal_code": "10115",
        "city": "Berlin",
        "card_number": card,
        "card_expiry": "12 / 39",
        "card_cvc": "123",
    }.items():
        page.locator(f"[name={label}]").fill(value)
    page.locator("[name=country]").select_option("DE")


def pay(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Pay")).click()


def log_in(page: Page, name: str, password: str) -> None:
    """Send the login form that the page shows."""
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(password)
    page.locator("[name=password]").press("Enter")


def sign_in(page: Page, site: Stack, name: str) -> None:
    page.goto(f"{site.url}/admin/")
    log_in(page, name, "fanfare")
    page.wait_for_url(f"{site.url}/admin/")
