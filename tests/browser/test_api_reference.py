"""The API's reference in a real browser: in every look, by keyboard, without script.

(The context of these tests fails them for a request off this machine, or for a script
or style that the policy refuses.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import fits, violations
from tests.browser.conftest import watched
from tests.servers.stack import Stack

pytestmark = pytest.mark.xdist_group("browser")

#: For each of 7,000 elements, axe searches what lies behind it: seven seconds.
CONTRAST = "color-contrast"
#: These show every colour that the other calls have.
COLOURED = {
    "include": [
        [".band"],
        [".intro"],
        [".contents"],
        ["#calls > .card"],
        [".group > .operation:first-of-type"],
    ]
}
OPEN_ALL = (
    "document.querySelectorAll('details').forEach(element => { element.open = true })"
)


def show(page: Page, site: Stack) -> None:
    page.goto(f"{site.url}/api/docs/")
    expect(page.get_by_role("heading", level=1)).to_have_text("API reference")


EACH_LOOK = pytest.mark.parametrize(
    ("width", "theme"), [(390, "dark"), (1280, "light")]
)


@contextmanager
def opened(browser: Browser, site: Stack, width: int, theme: str) -> Iterator[Page]:
    """The page with nothing folded away."""
    size = {"width": width, "height": 900}
    with watched(browser, viewport=size, color_scheme=theme) as context:
        page = context.new_page()
        show(page, site)
        page.evaluate(OPEN_ALL)
        yield page


@pytest.mark.parametrize(
    ("width", "theme"),
    [(390, "dark"), pytest.param(1280, "light", marks=pytest.mark.long)],
)
def test_a_call_of_each_group_is_accessible(
    browser: Browser, site: Stack, width: int, theme: str
) -> None:
    with opened(browser, site, width, theme) as page:
        assert violations(page, COLOURED) == []


@pytest.mark.long
@EACH_LOOK
def test_every_call_is_accessible(
    browser: Browser, site: Stack, width: int, theme: str
) -> None:
    with opened(browser, site, width, theme) as page:
        assert violations(page, rules={CONTRAST: {"enabled": False}}) == []


def test_it_fits_every_screen(page: Page, site: Stack) -> None:
    show(page, site)
    page.evaluate(OPEN_ALL)

    for width in (360, 640, 1000, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        assert fits(page), f"It scrolls sideways at {width} px"


def test_by_keyboard_the_first_way_leads_past_the_contents(
    page: Page, site: Stack
) -> None:
    show(page, site)

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip the contents")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#calls")).to_be_focused()

    answer = page.locator("details.answer > summary").first
    answer.focus()
    page.keyboard.press("Enter")
    expect(page.locator("details.answer table").first).to_be_visible()


def test_an_example_is_copied_whole(browser: Browser, site: Stack) -> None:
    rights = ["clipboard-read", "clipboard-write"]
    with watched(browser, permissions=rights) as context:
        page = context.new_page()
        show(page, site)

        page.get_by_role("button", name="Copy").first.click()

        expect(page.get_by_role("button", name="✓")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.startswith(f'curl "{site.url}/api/')
        assert copied == page.locator(".example pre").first.text_content()


def test_colours_that_were_chosen_in_the_store_hold_here(
    page: Page, site: Stack
) -> None:
    page.goto(site.url)
    page.get_by_role("button", name="Dark").click()

    show(page, site)
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Light").click()
    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_without_script_all_is_there_but_the_buttons(
    browser: Browser, site: Stack
) -> None:
    with watched(browser, java_script_enabled=False) as context:
        page = context.new_page()
        show(page, site)

        expect(page.get_by_role("button", name="Copy").first).to_be_hidden()
        expect(page.get_by_role("button", name="Dark")).to_be_hidden()
        page.locator("details.answer > summary").first.click()
        expect(page.locator("details.answer table").first).to_be_visible()


def test_on_paper_nothing_is_folded_away_and_nothing_is_dark(
    page: Page, site: Stack
) -> None:
    show(page, site)
    page.get_by_role("button", name="Dark").click()

    page.emulate_media(media="print", color_scheme="dark")

    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(page.locator("h1")).to_have_css("color", "rgb(0, 0, 0)")
    expect(page.get_by_role("navigation")).to_be_hidden()
    expect(page.locator("details.answer table").first).to_be_visible()
