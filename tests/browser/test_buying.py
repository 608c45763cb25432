"""A customer and an operator, in a real browser."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.visitors import (
    DECLINED,
    LATE_YES,
    fill_basket,
    fill_form,
    pay,
    sign_in,
)
from tests.servers.stack import Stack
from tests.servers.waiting import wait_until

#: Receipt, parcel, history and letter: what concerns a customer, of seven.
SHOWN = 4
#: What staff see.
ALL = 7

pytestmark = pytest.mark.xdist_group("browser")


def order_count(site: Stack) -> int:
    with closing(sqlite3.connect(site.var_dir / "fanfare.sqlite3")) as database:
        (count,) = database.execute("SELECT count(*) FROM shop_order").fetchone()
        return int(count)


def test_a_purchase_fills_in_until_every_subscriber_is_done(
    page: Page, site: Stack
) -> None:
    fill_basket(page, site)
    fill_form(page)

    pay(page)

    expect(page.locator(".progress__item--done")).to_have_count(SHOWN)
    expect(page.locator("[hx-trigger]")).to_have_count(0)
    page.reload()
    expect(page.locator(".progress__item--done")).to_have_count(SHOWN)


def test_a_double_click_buys_once(page: Page, site: Stack) -> None:
    before = order_count(site)
    fill_basket(page, site)
    fill_form(page)

    page.get_by_role("button", name=re.compile("^Pay")).dblclick()
    page.wait_for_url(re.compile("/orders/"))
    page.go_back()
    page.reload()

    assert order_count(site) == before + 1


def test_a_declined_card_sells_nothing_and_keeps_the_basket(
    page: Page, site: Stack
) -> None:
    before = order_count(site)
    fill_basket(page, site)
    fill_form(page, card=DECLINED)

    pay(page)

    expect(page.get_by_role("alert")).to_contain_text("declined")
    assert order_count(site) == before
    fill_form(page)
    pay(page)
    page.wait_for_url(re.compile("/orders/"))
    assert order_count(site) == before + 1


def test_a_bank_that_answers_late_is_waited_for(page: Page, site: Stack) -> None:
    fill_basket(page, site)
    fill_form(page, card=LATE_YES)
    pay(page)

    expect(page.get_by_role("heading", name="Your bank takes its time")).to_be_visible()
    page.wait_for_url(re.compile("/orders/"))


def test_without_javascript_the_shop_sells_all_the_same(
    browser: Browser, site: Stack
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    fill_basket(page, site)
    fill_form(page)

    pay(page)
    page.wait_for_url(re.compile("/orders/"))

    def is_done() -> bool:
        page.reload()
        return bool(page.locator(".progress__item--done").count() == SHOWN)

    wait_until(is_done)
    context.close()


def test_the_order_page_shows_what_failed_and_an_operator_fixes_it(
    page: Page, site: Stack, mended: Path
) -> None:
    mended.unlink(missing_ok=True)
    fill_basket(page, site)
    fill_form(page, name="Gus Grumpy")
    pay(page)
    page.wait_for_url(re.compile("/orders/"))
    order = page.url

    expect(page.locator(".progress__item--done")).to_have_count(3)
    letter = page.locator(".progress__item", has_text="A letter of thanks")
    expect(letter).to_have_class(re.compile("--attention"))

    mended.touch()
    sign_in(page, site, "operator")
    page.goto(f"{site.url}/admin/router/failedtask/")
    page.locator("a[href*='/failedtask/'][href$='/change/']").first.click()
    expect(page.get_by_text("ValueError: out of paper").first).to_be_visible()
    stale = page.context.new_page()
    stale.goto(page.url)
    page.locator("#id_note").fill("There is paper again.")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("will be tried again")).to_be_visible()

    stale.locator("#id_note").fill("Me too.")
    stale.get_by_role("button", name="Discard").click()
    expect(stale.get_by_text("already retried by operator")).to_be_visible()

    page.goto(order)
    expect(page.locator(".progress__item--done")).to_have_count(ALL)
