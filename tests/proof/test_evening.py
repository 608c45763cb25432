"""An evening of an operator: two endpoints are down under load, and come back.

In a real browser. `GOALS` has the most clicks that each thing may cost that an operator
wants to know or do; the seconds are printed. `EVENING_PICTURES` names a folder for a
picture of each page in each look.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import browser, watched
from tests.browser.visitors import sign_in
from tests.proof.counted_page import CountedPage
from tests.proof.evening import (
    CAMPAIGN,
    CAUSES,
    EVENTS,
    LOAD_FIRST,
    MEMBER,
    POISON,
    SETTINGS,
    Endpoint,
    Endpoints,
    endpoints,
    give_up,
    load,
    publish,
    subscribe,
    wait_for_alerts,
)
from tests.servers.postgresql import database_of_its_own
from tests.servers.stack import Stack
from tests.servers.waiting import wait_until

__all__ = ["browser"]
pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(1800)]

CAUSE, WHY, FREE = "alert → cause", "order number → why", "free a held endpoint"
FIX_ONE, FIX_MANY = "fix one", "fix a thousand alike"
GOALS = {CAUSE: 1, WHY: 2, FREE: 1, FIX_ONE: 3, FIX_MANY: 4}
SECONDS = 400
#: Longer than `wait_until` has by default: thousands of posts by a busy machine.
DRAINED_MS = SECONDS * 1000
CLOSED_WORDS = "HTTP 503: stocktaking until 23:00"
#: For a click, on a busy machine.
ENOUGH_SECONDS = 10
OUTAGES = [("erp", "unreachable"), ("warehouse", "unreachable")]
#: Posts of the first probe, and of the steps after it.
DRAIN = [1, 1, 2, 4, 8, 16, 32]
#: The same of a ramped retry.
RAMP = [1, 10, 100]
#: An alert of its own only where the outage was over before it was given up.
LEFT = ("warehouse", "open_failed_tasks")


@pytest.fixture
def operator(browser: Browser) -> Iterator[Callable[[Stack], CountedPage]]:
    """`operator(stack)`: signed in, on the dashboard."""
    with watched(browser, viewport={"width": 1280, "height": 900}) as context:

        def start(stack: Stack) -> CountedPage:
            page = context.new_page()
            sign_in(page, stack, "operator")
            return CountedPage(page, context.new_page())

        yield start


def test_an_evening(
    start_stack: Callable[..., Stack],
    postgresql_url: str,
    operator: Callable[[Stack], CountedPage],
) -> None:
    with endpoints() as made, database_of_its_own(postgresql_url) as database:
        stack = start_stack(
            DATABASE_URL=database,
            ROUTER=json.dumps(SETTINGS),
            WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8",
        )
        # Nobody is owed these; `give_up` says later what became of them.
        publish(stack, "points.granted", "GIFT", sum(CAUSES.values()))
        subscribe(stack, made)
        seen = operator(stack)
        with load(stack) as end_load:
            two_endpoints_go_down(stack, made, seen)
            they_come_back(stack, made, seen)
            one_is_fixed(stack, made, seen)
            a_thousand_are_fixed(stack, made, seen)
            the_audit_shows_it(stack, seen)
            nothing_of_the_load_is_lost(made, end_load())
        # Before its database goes.
        stack.stop()
    clicks = {what: count for what, (count, _) in seen.done.items()}
    assert clicks.keys() == GOALS.keys()
    assert {what for what, count in clicks.items() if count > GOALS[what]} == set()


def dashboard(stack: Stack, seen: CountedPage) -> Page:
    seen.page.goto(f"{stack.url}/admin/")
    return seen.page


def strip(page: Page, title: str) -> str:
    """What the dashboard says of this subscriber; it refreshes by itself."""
    found = page.locator(".fan-banner", has=page.get_by_text(title, exact=True))
    expect(found.first).to_be_visible(timeout=DRAINED_MS)
    return found.first.inner_text()


def two_endpoints_go_down(stack: Stack, made: Endpoints, seen: CountedPage) -> None:
    wait_until(lambda: made.erp.acknowledged and made.warehouse.acknowledged)
    page = dashboard(stack, seen)
    expect(page.get_by_text("Nothing is wrong.")).to_be_visible()
    seen.look("1-calm")
    made.erp.is_down = made.warehouse.is_down = True
    publish(stack, "parcel.ordered", "FF", EVENTS, POISON)
    strip(page, "ERP")
    assert CLOSED_WORDS in strip(page, "Warehouse")
    wait_for_alerts(made.on_call, "opened", OUTAGES)
    page = dashboard(stack, seen)
    assert re.search(
        r"unreachable since .*events held\..*Alert sent", strip(page, "ERP")
    )
    seen.look("2-down")

    with seen.counting(CAUSE):
        seen.follow(made.on_call.link("warehouse", "unreachable"))
        expect(page.locator(".fan-strips")).to_contain_text(CLOSED_WORDS)
    seen.look("3-cause")

    dashboard(stack, seen)
    with seen.counting(WHY):
        field = page.get_by_role("searchbox", name="Order number")
        seen.click(field)
        field.fill(f"FF-{POISON:05}")
        seen.press(field, "Enter")
        answer = page.locator("section", has=page.get_by_text("for Warehouse"))
        expect(answer.locator(".fan-answer")).to_contain_text(CLOSED_WORDS)
    seen.look("4-story")


def they_come_back(stack: Stack, made: Endpoints, seen: CountedPage) -> None:
    page = dashboard(stack, seen)
    # Else the router's own test may find first that it is back.
    wait_until(lambda: _next_try(strip(page, "Warehouse")) > ENOUGH_SECONDS)
    for each in (made.erp, made.warehouse):
        each.come_back(sum(DRAIN))
    with seen.counting(FREE):
        seen.click(page.get_by_role("button", name="Try Warehouse now"))
        expect(page.get_by_text("One event is tried now.")).to_be_visible()
        wait_until(lambda: _steps(made.warehouse))
    seen.look("5-back")
    wait_until(lambda: made.erp.lacks() == 0, SECONDS)
    wait_until(lambda: made.warehouse.lacks() == 1, SECONDS)
    assert _steps(made.erp) == _steps(made.warehouse) == DRAIN
    dashboard(stack, seen)
    expect(page.get_by_text("1 failed task needs attention")).to_be_visible(
        timeout=DRAINED_MS
    )
    assert "HTTP 422: unknown article NONE-0" in strip(page, "Warehouse")
    wait_until(lambda: OUTAGES[0] in made.on_call.alerts("closed"))
    dashboard(stack, seen)
    expect(page.get_by_text("Try now")).to_have_count(0)
    seen.look("6-one-left")


def _steps(endpoint: Endpoint) -> list[int]:
    return endpoint.steps.counts if endpoint.steps else []


def _next_try(words: str) -> int:
    found = re.search(r"Next try in (\d+) s", words)
    return int(found[1]) if found else 0


def one_is_fixed(stack: Stack, made: Endpoints, seen: CountedPage) -> None:
    page = dashboard(stack, seen)
    with seen.counting(FIX_ONE):
        seen.click(page.get_by_role("link", name="Fix Warehouse"))
        seen.look("7-one-cause")
        seen.click(page.get_by_role("link", name="Edit and retry"))
        payload = page.get_by_role("textbox", name="Payload")
        payload.fill(payload.input_value().replace("NONE-0", "CAR-301"))
        page.get_by_label("Reason").fill("the shop meant valve oil")
        expect(page.locator("#compared del")).to_contain_text("NONE-0")
        expect(page.locator("#compared ins")).to_contain_text("CAR-301")
        seen.look_as_it_is("8-diff")
        seen.click(page.get_by_role("button", name="Send this payload"))
        expect(page.get_by_text("It goes out in 10 seconds")).to_be_visible()
    seen.look("9-sent")
    wait_until(lambda: made.warehouse.acknowledged[POISON] == 1)
    dashboard(stack, seen)
    expect(page.get_by_text("Nothing is wrong.")).to_be_visible()
    on_call = made.on_call
    wait_until(lambda: on_call.alerts("closed") == on_call.alerts("opened"))
    assert on_call.alerts("opened") in (OUTAGES, sorted([*OUTAGES, LEFT]))
    assert on_call.most_open() == 1


def a_thousand_are_fixed(stack: Stack, made: Endpoints, seen: CountedPage) -> None:
    made.loyalty.is_down = True
    give_up(stack)
    page = dashboard(stack, seen)
    expect(page.get_by_role("link", name="Fix Loyalty points")).to_be_visible()
    wait_until(lambda: _counts(stack, page) == sorted(CAUSES.values(), reverse=True))
    seen.look("10-causes")
    page.get_by_role("link", name=MEMBER).click()
    _retry(page, seen)
    expect(page.get_by_text("It stopped by itself")).to_be_visible()
    assert made.loyalty.refused == 1
    seen.look("11-stopped")

    made.loyalty.come_back(sum(RAMP))
    page = dashboard(stack, seen)
    with seen.counting(FIX_MANY):
        seen.click(page.get_by_role("link", name="Fix Loyalty points"))
        seen.click(page.get_by_role("link", name=CAMPAIGN))
        _retry(page, seen)
        expect(page.get_by_text("Nothing of it is left.")).to_be_visible(
            timeout=DRAINED_MS
        )
    seen.look("12-a-thousand")
    assert _steps(made.loyalty) == RAMP
    taken = made.loyalty.acknowledged
    assert taken.total() == len(taken) == CAUSES[CAMPAIGN]


def _retry(page: Page, seen: CountedPage) -> None:
    page.get_by_label("Reason").fill("the campaign is open again")
    seen.click(page.get_by_role("button", name=re.compile(r"^Retry .* at a ramp")))


def _counts(stack: Stack, page: Page) -> list[int]:
    page.goto(f"{stack.url}/admin/router/failedtaskgroup/")
    cells = page.locator("[data-label=Open]").all_inner_texts()
    return [int(text.replace(",", "").replace("\u202f", "")) for text in cells]


def the_audit_shows_it(stack: Stack, seen: CountedPage) -> None:
    page = seen.page
    page.goto(f"{stack.url}/admin/router/auditentry/")
    rows = page.locator("#result_list")
    for words in (
        "subscriber.tried_now",
        "the shop meant valve oil",
        "the campaign is open again",
        "user operator",
    ):
        expect(rows).to_contain_text(words)
    seen.look("13-audit")


def nothing_of_the_load_is_lost(made: Endpoints, count: int) -> None:
    """Each event of the evening was acknowledged once by each endpoint."""
    assert count > 0
    orders = {*range(1, EVENTS + 1), *range(LOAD_FIRST, LOAD_FIRST + count)}
    for each in (made.erp, made.warehouse):
        wait_until(lambda each=each: each.acknowledged.keys() == orders)
        assert set(each.acknowledged.values()) == {1}
