"""A replay, from the subscriber's page to its end, by keyboard alone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import watched
from tests.browser.visitors import sign_in
from tests.servers.stack import Stack

pytestmark = pytest.mark.xdist_group("browser")


@pytest.mark.usefixtures("bought")
def test_a_replay_is_begun_and_watched_by_keyboard(
    browser: Browser, site: Stack
) -> None:
    # So low that the preview is below its form.
    with watched(browser, viewport={"width": 390, "height": 600}) as context:
        page = context.new_page()
        sign_in(page, site, "demo")
        page.goto(f"{site.url}/admin/router/subscriber/")
        page.get_by_role("link", name="Thank-you letter").press("Enter")
        page.get_by_role("link", name="Replay…").press("Enter")
        page.get_by_role("button", name="Preview").press("Enter")

        # The page is at its preview: what comes next is to confirm, and to begin.
        expect(page).to_have_url(re.compile("#preview$"))
        expect(page.locator("#preview")).to_be_in_viewport()
        page.keyboard.press("Tab")
        expect(page.get_by_label("The handler may do its work twice")).to_be_focused()
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Begin")).to_be_focused()
        page.keyboard.press("Enter")

        expect(page.locator("#run [role=status]")).to_contain_text("are given")
        assert violations(page) == []
