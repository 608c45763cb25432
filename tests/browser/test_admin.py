"""Every kind of admin page, in a real browser: accessible, and true to its policy.

(The context of these tests fails them for a script or style that the policy refuses.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect

from tests.browser.accessibility import DESKTOP, fits, in_turn, violations
from tests.browser.conftest import watched
from tests.browser.visitors import sign_in
from tests.servers.receiving import Receiver, status
from tests.servers.stack import Stack
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.xdist_group("browser")

PAGES = [
    "",
    "router/subscriber/",
    "router/subscriber/{subscriber}/change/",
    "router/subscriber/add/",
    "router/subscriber/{managed}/change/",
    "router/subscriber/{managed}/edit/",
    "router/subscriber/{managed}/remove/",
    "router/subscriber/{bus}/change/",
    "router/subscriber/{bus}/attempts/",
    "router/subscriber/{bus}/edit/",
    "router/subscriber/{subscriber}/load-history/",
    "router/subscriber/{subscriber}/replay/",
    "router/run/",
    "router/run/{run}/change/",
    "router/eventrecord/",
    "router/eventrecord/{event}/change/",
    "router/eventrecord/{event}/explain/",
    "router/eventrecord/{event}/explain/?subscriber={subscriber}",
    "router/eventrecord/{unwanted}/explain/?subscriber={bus}",
    "router/eventrecord/{event}/story/",
    "router/eventrecord/?q=nothing-like-this",
    "router/delivery/",
    "router/delivery/{delivery}/change/",
    "router/delivery/{done}/change/",
    "router/failedtask/",
    "router/failedtask/{failed_task}/change/",
    "router/failedtaskgroup/",
    "router/failedtaskgroup/{cause}/change/",
    "router/ingressfailedtask/",
    "router/ingressfailedtask/{ingress}/change/",
    "router/apikey/",
    "router/apikey/add/",
    "router/apikey/{key}/change/",
    "router/eventschema/",
    "router/eventschema/{schema}/change/",
    "router/eventschema/add/",
    "router/auditentry/",
    "router/auditentry/{audit}/change/",
    "auth/user/",
    "auth/user/{user}/change/",
    "auth/user/add/",
    "auth/group/",
    "auth/group/{group}/change/",
    "auth/user/{user}/password/",
    "auth/user/{user}/delete/",
    "auth/group/{group}/delete/",
    "password_change/",
    "password_change/done/",
    "shop/order/",
    "shop/order/{order}/change/",
    "shop/product/",
    "shop/product/add/",
    "shop/product/{product}/change/",
    "shop/product/{product}/delete/",
    "shop/category/",
    "shop/category/{category}/change/",
    "shop/category/{category}/delete/",
    "inventory/stocklevel/",
    "inventory/stockmovement/",
    "fulfilment/shipment/",
    "fulfilment/shipment/{shipment}/change/",
    "customer_profiles/customerprofile/",
    "customer_profiles/customerprofile/{profile}/change/",
    "order_history/purchaserecord/",
    "order_history/purchaserecord/{record}/change/",
]
ROWS = """
import json
from django.contrib.auth.models import Group, User
from router.flow.cursor.runs import open_run
from router.operate.schemas import register_schema
from router.operate.api_keys import issue_key
from router.operate.subscribers import create_subscriber
from router.models import *
from shop.models import Category, Product
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
subscriber = a_subscriber("browsed", state="paused", state_reason="under repair")
event = an_event(event_id="browsed", type="browsed.once", is_routed=False)
delivery = a_delivery(event, subscriber, "DEAD", attempts=1, failures=1)
# No position by hand: the dispatcher at work here would give the same one again.
unwanted = an_event(event_id="done", type="browsed.done", is_routed=False)
done = a_delivery(unwanted, subscriber, "ACKNOWLEDGED")
delivery.attempt_log.create(number=1, result="DEAD", error="ValueError: no paper",
    traceback="Traceback " + "long" * 100, ended_at=event.recorded_at, duration_ms=3.2,
    http_status=503, answer="busy" * 100, request={"url": "https://a/" + "b" * 300})
managed = create_subscriber("outside", by="command", transport="webhook",
    url="https://outside.example.com/", events=["never.happens"]).subscriber
bus = create_subscriber("bus", by="command", transport="sqs", events=["never.happens"],
    target={"queue_url": "https://sqs.eu-west-1.amazonaws.com/123456789012/a",
        "access_key_id": "AKIA", "secret_access_key": "sesame-7"}).subscriber
run = open_run(subscriber, start=0, end=1, kind="replay", requested_by="command")
Run.objects.filter(pk=run.pk).update(state="paused")
ingress = IngressFailedTask.objects.create(bridge="legacy", body=b"{",
    problem="no " + "JSON_" * 40)
cause = FailedTaskGroup.objects.create(subscriber=subscriber, cause="no warehouse")
task = a_failed_task(delivery, group=cause, traceback="T", error="no " + "house_" * 60)
schema, _ = register_schema("browsed.twice", {"$id": "urn:browsed:1"}, by="command")
key, _ = issue_key("browsed", scopes=["publish"], by="command",
    bindings={"sources": ["/partner"]}, expires_in_days=30)
print(json.dumps({"bus": bus.pk, "run": run.pk, "ingress": ingress.pk, "done": done.pk,
    "managed": managed.pk, "subscriber": subscriber.pk, "event": event.pk,
    "delivery": delivery.pk, "failed_task": task.pk, "unwanted": unwanted.pk,
    "cause": cause.pk, "audit": AuditEntry.objects.first().pk, "schema": schema.pk,
    "user": User.objects.first().pk, "group": Group.objects.first().pk, "key": key.pk,
    "product": Product.objects.first().pk, "category": Category.objects.first().pk}))
"""

HELD = """
import json
from datetime import timedelta
from django.utils import timezone
from router.operate.subscribers import create_subscriber
from router.models import *
from tests.integration.rows import a_delivery, a_subscriber, an_event
later = timezone.now() + timedelta(hours=1)
down = create_subscriber("down", by="command", transport="webhook", url={url!r},
    events=["never.happens"]).subscriber
Subscriber.objects.filter(pk=down.pk).update(breaker=BreakerState.OPEN, probe_at=later,
    incident_since=timezone.now())
a_delivery(an_event(event_id="held", is_routed=False), down, due_at=later)
# Paused, so that no worker leases the delivery while the test skips it.
still = a_subscriber("still", state="paused")
waiting = a_delivery(an_event(event_id="waits", is_routed=False), still)
print(json.dumps([down.pk, waiting.pk]))
"""


@pytest.fixture(scope="module")
def rows(site: Stack, bought: dict[str, str]) -> dict[str, str]:
    """One row of each kind, by its key."""
    return {**bought, **json.loads(site.manage("shell", "-v0", "-c", ROWS))}


@pytest.fixture(scope="module", params=[DESKTOP])
def staff(
    request: pytest.FixtureRequest, browser: Browser, site: Stack
) -> Iterator[BrowserContext]:
    width, theme = request.param
    size = {"width": width, "height": 900}
    with watched(browser, viewport=size, color_scheme=theme) as context:
        page = context.new_page()
        sign_in(page, site, "demo")
        yield context


@pytest.fixture(scope="module")
def signed_in(browser: Browser, site: Stack) -> StorageState:
    """The cookies of a superuser: to check a password takes long, by design."""
    with watched(browser) as context:
        sign_in(context.new_page(), site, "demo")
        return context.storage_state()


@pytest.mark.parametrize(("staff", "path"), in_turn(PAGES), indirect=["staff"])
def test_each_page_is_accessible_and_fits_its_window(
    staff: BrowserContext, site: Stack, rows: dict[str, str], path: str
) -> None:
    page = staff.pages[0]
    answer = page.goto(f"{site.url}/admin/{path.format(**rows)}")
    page.locator("h1").wait_for()

    assert answer is not None
    assert answer.status == 200
    assert violations(page) == []
    assert fits(page), "it scrolls sideways"
    assert page.locator("main").count() == 1


def test_the_chosen_tasks_are_asked_about(
    staff: BrowserContext, site: Stack, rows: dict[str, str]
) -> None:
    page = staff.pages[0]
    page.goto(f"{site.url}/admin/router/failedtask/?q={rows['failed_task']}")
    page.locator("input.action-select").first.check()
    page.locator("select[name=action]").select_option("discard_selected")
    page.locator("#changelist-actions button[type=submit]").click()

    expect(page.get_by_role("heading", name="Discard 1 failed task?")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Discard 1 failed task").click()
    expect(page.get_by_label("Reason")).to_be_focused()


def test_the_effect_of_an_edit_is_shown_before_it_is_saved(
    staff: BrowserContext, site: Stack, rows: dict[str, str]
) -> None:
    page = staff.pages[0]
    page.goto(f"{site.url}/admin/router/subscriber/{rows['managed']}/edit/")
    page.locator("[name=events]").fill("browsed.*")
    page.locator("[name=filter]").fill("{\"sql\": \"id = 'done' OR region = 'AT'\"}")
    page.get_by_role("button", name="Preview effect").click()

    preview = page.locator("#preview")
    expect(preview).to_contain_text("Nothing is saved yet.")
    expect(preview).to_contain_text("the event has no attribute region")
    expect(preview.get_by_role("link")).to_have_text([re.compile(r"browsed\.done")])
    assert violations(page) == []
    assert fits(page), "it scrolls sideways"


def test_the_menu_works_by_keyboard(staff: BrowserContext, site: Stack) -> None:
    page = staff.pages[0]
    page.goto(f"{site.url}/admin/router/failedtask/")

    page.get_by_role("button", name="Filters").press("Enter")

    expect(page.locator("#changelist-filter")).to_be_visible()
    assert violations(page) == []


@pytest.fixture(scope="module")
def page_without_script(browser: Browser) -> Iterator[Page]:
    with watched(browser, java_script_enabled=False) as context:
        yield context.new_page()


@pytest.fixture
def without_script(page_without_script: Page, signed_in: StorageState) -> Page:
    """A page of a browser that runs no JavaScript, signed in."""
    page_without_script.context.add_cookies(signed_in["cookies"])
    return page_without_script


@pytest.fixture(scope="module")
def window(browser: Browser, signed_in: StorageState) -> Iterator[Page]:
    """A page whose size the tests choose, signed in."""
    with watched(browser, storage_state=signed_in) as context:
        yield context.new_page()


@pytest.mark.parametrize("path", ["", "router/subscriber/", "shop/order/", "logout"])
def test_without_script_a_page_is_read_and_says_what_it_needs(
    without_script: Page, site: Stack, bought: dict[str, str], path: str
) -> None:
    page = without_script
    if path == "logout":
        page.context.clear_cookies()
    page.goto(f"{site.url}/admin/{path.removeprefix('logout')}")

    # By its class: its text is not found. Where something covers it, a click fails.
    page.locator(".fan-noscript").click(trial=True)
    expect(page.locator("h1")).to_be_visible()


def test_without_script_a_form_shows_the_fields_of_the_chosen_transport(
    without_script: Page, site: Stack
) -> None:
    page = without_script
    page.goto(f"{site.url}/admin/router/subscriber/add/")

    for transport, titles in {
        "webhook": ["Webhook"],
        "kafka": ["Kafka"],
        "pubsub": ["Google Pub/Sub"],
        "pull": [],
    }.items():
        page.locator("[name=transport]").select_option(transport)
        expect(page.locator("fieldset legend").filter(visible=True)).to_have_text(
            titles
        )


@pytest.mark.parametrize("path", ["nothing/here/", "router/delivery/99999999/change/"])
def test_an_error_is_accessible_and_leads_back(
    staff: BrowserContext, site: Stack, path: str
) -> None:
    page = staff.pages[0]
    answer = page.goto(f"{site.url}/admin/{path}")

    assert answer is not None
    assert answer.status == 404
    assert violations(page) == []
    assert fits(page), "it scrolls sideways"
    page.locator("main").get_by_role("link", name="Dashboard").click()
    expect(page).to_have_url(f"{site.url}/admin/")


def test_the_first_key_press_skips_to_the_content(
    staff: BrowserContext, site: Stack
) -> None:
    page = staff.pages[0]
    page.goto(f"{site.url}/admin/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


#: What sticks out of its card, and which cards lie on each other.
OVERLAPS = """() => {
  const cards = [...document.querySelectorAll(".fan-card")];
  const box = element => element.getBoundingClientRect();
  const out = [...document.querySelectorAll(".fan-card > *, .fan-table *")].filter(
    element => box(element).right > box(element.closest(".fan-card")).right + 1);
  const meet = (a, b) => box(a).left < box(b).right && box(b).left < box(a).right
    && box(a).top < box(b).bottom && box(b).top < box(a).bottom;
  const pairs = cards.filter((a, n) => cards.slice(n + 1).some(b => meet(a, b)));
  return [...out, ...pairs].map(element => element.outerHTML.slice(0, 120));
}"""


@pytest.mark.parametrize(
    "width", [1280, pytest.param(1440, marks=pytest.mark.long), 390]
)
@pytest.mark.parametrize(
    "path",
    [
        "router/failedtask/{failed_task}/change/",
        "router/delivery/{delivery}/change/",
        "router/subscriber/{subscriber}/change/",
        "router/eventrecord/{event}/change/",
        "shop/order/{order}/change/",
    ],
)
def test_nothing_runs_out_of_its_card_or_under_another(
    window: Page, site: Stack, rows: dict[str, str], path: str, width: int
) -> None:
    window.set_viewport_size({"width": width, "height": 900})
    window.goto(f"{site.url}/admin/{path.format(**rows)}")
    assert "/login/" not in window.url
    window.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")

    assert window.evaluate(OVERLAPS) == []
    assert fits(window), "it scrolls sideways"


def test_a_list_shows_its_last_column_without_scrolling(
    window: Page, site: Stack, rows: dict[str, str]
) -> None:
    window.set_viewport_size({"width": 1280, "height": 900})
    for address in ("failedtask", "delivery", "eventrecord", "auditentry"):
        window.goto(f"{site.url}/admin/router/{address}/")
        table = window.locator("#result_list").bounding_box()
        content = window.locator("#content").bounding_box()
        assert table is not None
        assert content is not None
        right = content["x"] + content["width"]
        assert table["x"] + table["width"] <= right + 1, address


@pytest.mark.long
def test_an_operator_tries_a_receiver_closes_its_breaker_and_skips_an_event(
    page: Page, site: Stack
) -> None:
    def do(button: str, reason: str) -> None:
        card = page.locator("form", has=page.get_by_role("button", name=button))
        card.get_by_label("Reason").fill(reason)
        card.get_by_role("button", name=button).click()

    sign_in(page, site, "operator")
    with Receiver(status(503)) as receiver:
        code = HELD.format(url=receiver.url)
        down, waiting = json.loads(site.manage("shell", "-v0", "-c", code))
        page.goto(f"{site.url}/admin/router/subscriber/{down}/change/")
        do("Try now", "the partner called")
        expect(page.get_by_text("One event is tried now.")).to_be_visible()
        wait_until(lambda: bool(receiver.received))
        do("Close the breaker", "it is back")
        expect(page.get_by_text("The breaker is closed")).to_be_visible()
    page.goto(f"{site.url}/admin/router/delivery/{waiting}/change/")
    do("Skip this event", "a broken order")
    expect(page.get_by_text("The event is skipped")).to_be_visible()
    expect(page.get_by_role("button", name="Skip this event")).to_have_count(0)

    page.goto(f"{site.url}/admin/router/auditentry/")
    texts = [
        row.inner_text() for row in page.locator("#result_list tbody tr").all()[:3]
    ]
    for row, words in zip(
        texts,
        [
            ("delivery.skipped", f"delivery {waiting}", "a broken order"),
            ("subscriber.breaker_closed", "subscriber down", "it is back"),
            ("subscriber.tried_now", "subscriber down", "the partner called"),
        ],
        strict=True,
    ):
        assert all(word in row for word in ("user operator", *words)), row
