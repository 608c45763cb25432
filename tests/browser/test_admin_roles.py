"""What a viewer may not do: shown, read and reached by keyboard, and of no effect."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser.accessibility import fits, violations
from tests.browser.conftest import watched
from tests.browser.visitors import sign_in
from tests.servers.stack import Stack

pytestmark = pytest.mark.xdist_group("browser")

ROWS = """
import json
from router.models import *
from router.operate.subscribers import create_subscriber, edit_subscriber
from tests.integration.rows import a_delivery, a_failed_task, an_event
guarded = create_subscriber("guarded", by="command", transport="webhook",
    url="https://guarded.example.com/", events=["never.happens"]).subscriber
edit_subscriber(guarded, by="command", title="Guarded", max_failures=7,
    filter={"all": [{"prefix": {"subject": "vip-"}}, {"suffix": {"id": "7"}}]})
changed = AuditEntry.objects.filter(action="subscriber.changed").latest("pk")
dead = a_delivery(an_event(event_id="guarded", is_routed=False), guarded, "DEAD")
print(json.dumps({"subscriber": guarded.pk, "entry": changed.pk,
    "task": a_failed_task(dead).pk}))
"""
PAGES = [
    "router/subscriber/{subscriber}/change/",
    "router/failedtask/{task}/change/",
    "router/auditentry/{entry}/change/",
    "router/auditentry/?subscriber={subscriber}",
    "router/failedtask/",
]


@pytest.fixture(scope="module")
def rows(site: Stack) -> dict[str, int]:
    made: dict[str, int] = json.loads(site.manage("shell", "-v0", "-c", ROWS))
    return made


@pytest.fixture(scope="module", params=[(1280, "light"), (390, "dark")])
def viewer(
    request: pytest.FixtureRequest, browser: Browser, site: Stack
) -> Iterator[BrowserContext]:
    width, theme = request.param
    size = {"width": width, "height": 900}
    with watched(browser, viewport=size, color_scheme=theme) as context:
        sign_in(context.new_page(), site, "viewer")
        yield context


@pytest.mark.long
def test_what_a_viewer_sees_is_accessible_and_says_who_may_do_it(
    viewer: BrowserContext, site: Stack, rows: dict[str, int]
) -> None:
    page = viewer.pages[0]
    for path in PAGES:
        page.goto(f"{site.url}/admin/{path.format(**rows)}")
        page.locator("h1").wait_for()
        assert violations(page) == [], path
        assert fits(page), f"{path} scrolls sideways"

    page.goto(f"{site.url}/admin/{PAGES[0].format(**rows)}")
    pause = page.get_by_role("button", name="Pause Needs the role Operator")
    expect(pause).to_be_disabled()
    pause.focus()
    expect(pause).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("is paused")).to_have_count(0)
    expect(
        page.get_by_role("button", name="Delete Needs the role Manager")
    ).to_be_disabled()
