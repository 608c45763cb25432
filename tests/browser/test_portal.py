"""The portal as an endpoint's owner sees it: a link, and nothing else."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import assert_accessible
from tests.servers.stack import Stack

pytestmark = pytest.mark.xdist_group("browser")

ENDPOINTS = """
from router.operate.subscribers import create_subscriber
limits = {"by": "test", "events": ["parcel.*"], "allowed_types": ["parcel.*"]}
url = "https://partner.example/hooks"
create_subscriber("partner-hook", transport="webhook", url=url, **limits)
create_subscriber("partner-pull", transport="pull", **limits)
"""


@pytest.mark.long
def test_an_owner_looks_after_endpoints_and_every_page_is_accessible(
    page: Page, site: Stack
) -> None:
    site.manage("shell", "-v0", "-c", ENDPOINTS)
    link = site.manage("create_portal_link", "partner-hook", "partner-pull").strip()
    path = link[link.index("/portal/") :]
    page.goto(site.url + path)
    page.get_by_role("button", name="Open").click()
    page.wait_for_url(f"{site.url}/portal/")
    expect(page.get_by_role("heading", name="Your endpoints")).to_be_visible()
    assert_accessible(page)

    page.get_by_role("link", name="partner-hook").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("You paused it.")).to_be_visible()
    page.get_by_role("button", name="Show the secret").click()
    expect(page.get_by_text("whsec_").first).to_be_visible()
    page.evaluate("document.querySelectorAll('details').forEach((e) => e.open = true)")
    assert_accessible(page)
    page.get_by_role("link", name="Event types").click()
    expect(page.get_by_role("button", name="Save event types")).to_be_visible()
    assert_accessible(page)

    page.goto(f"{site.url}/portal/endpoints/partner-pull/")
    page.locator("[name=label]").fill("warehouse")
    page.get_by_role("button", name="Create a pull key").click()
    expect(page.get_by_text("copy the key now")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("heading", name="This page needs a link")).to_be_visible()
    page.goto(site.url + path)
    expect(page.get_by_role("heading", name="This page needs a link")).to_be_visible()
