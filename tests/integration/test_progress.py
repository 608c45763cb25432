from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db import connection
from django.template import RequestContext, Template
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router import registry
from router.models import (
    Attempt,
    BreakerState,
    EventRecord,
    Subscriber,
    SubscriberState,
)
from router.observe.progress import progress_of
from router.templatetags.router_progress import milliseconds
from tests.integration.rows import a_delivery, a_subscriber, an_event

pytestmark = pytest.mark.usefixtures("empty_router")

TAG = Template(
    "{% load router_progress %}{% delivery_progress source='/shop' "
    "subject='order-1' refresh_url='/again/' %}"
)


@pytest.fixture(autouse=True)
def receipts(empty_router: None) -> Subscriber:
    registry.subscriber(
        "receipts", events=["purchase.completed"], customer_title="Your receipt"
    )(repr)
    return a_subscriber("receipts", title="Receipt by mail")


@pytest.fixture
def event(db: None) -> EventRecord:
    return an_event()


def rendered(user: Any = None) -> str:
    request = RequestFactory().get("/orders/order-1/")
    request.user = user or AnonymousUser()
    return TAG.render(RequestContext(request))


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def a_minute_ahead() -> dict[str, Any]:
    return {"due_at": timezone.now() + timedelta(seconds=60)}


@pytest.mark.parametrize(
    ("state", "fields", "modifier", "expected"),
    [
        # Routed, nobody has begun.
        ("PENDING", {}, "waiting", "Waiting its turn"),
        # Behind another event of its key, which its worker gave back as well.
        ("PENDING", {"due_at": None, "attempts": 1}, "waiting", "Waiting its turn"),
        # Due later for no fault of its own.
        ("PENDING", a_minute_ahead(), "waiting", "Waiting its turn"),
        # A worker holds the lease.
        ("LEASED", {}, "working", "Working on it now"),
        ("ACKNOWLEDGED", {}, "done", "Done"),
        # It failed, and its time has come again.
        ("PENDING", {"failures": 1}, "retrying", "Trying again now"),
        # Its worker died: that is a reason to try again, too.
        ("PENDING", {"vanished": 1}, "retrying", "Trying again now"),
        # The router gave up on it.
        ("DEAD", {"failures": 8}, "attention", "Needs attention"),
        # It was tried, and asked for patience: nothing is counted.
        ("PENDING", {"attempts": 1}, "retrying", "Trying again now"),
        ("CANCELLED", {}, "cancelled", "Cancelled"),
    ],
)
def test_each_state_has_its_own_words_and_its_own_look(
    event: EventRecord,
    receipts: Subscriber,
    state: str,
    fields: dict[str, Any],
    modifier: str,
    expected: str,
) -> None:
    a_delivery(event, receipts, state, **fields)
    html = rendered()
    assert f'class="progress__item progress__item--{modifier}"' in html
    assert "Your receipt" in html
    assert expected in words(html)


def test_a_wait_is_counted_down_by_the_database_s_clock(
    event: EventRecord, receipts: Subscriber
) -> None:
    due_at = timezone.now() + timedelta(seconds=12)
    a_delivery(event, receipts, failures=2, due_at=due_at)
    match = re.search(r"Trying again in (\d+) s", words(rendered()))
    assert match
    assert int(match[1]) in (11, 12)


def test_done_tells_the_time_from_the_recording_to_the_acknowledgement(
    event: EventRecord, receipts: Subscriber
) -> None:
    at = event.recorded_at + timedelta(milliseconds=184)
    a_delivery(event, receipts, "ACKNOWLEDGED", acknowledged_at=at)
    assert '<span class="progress__time">184 ms</span>' in rendered()


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 ms"),
        (9_999, "9999 ms"),
        (10_000, "10 s"),  # Milliseconds say nothing any more.
        (150_000, "2 min"),
        (8_000_000, "2 h"),
        (200_000_000, "2 d"),
    ],
)
def test_long_durations_get_larger_units(count: int, expected: str) -> None:
    assert milliseconds(count) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"state": SubscriberState.PAUSED},  # By a person.
        {"state": SubscriberState.DISABLED},  # By the router.
        {"breaker": BreakerState.OPEN},  # Its receiver is away.
    ],
)
@pytest.mark.parametrize("failures", [0, 1])
def test_what_a_held_subscriber_is_owed_is_shown_as_held(
    event: EventRecord, receipts: Subscriber, fields: dict[str, Any], failures: int
) -> None:
    a_delivery(event, receipts, failures=failures)
    Subscriber.objects.update(**fields)
    html = rendered()
    assert "progress__item--held" in html
    assert "On hold for now" in words(html)
    assert "Did not work" not in words(html)


def test_behind_a_receiver_that_fails_what_was_not_tried_waits(
    event: EventRecord, receipts: Subscriber
) -> None:
    a_delivery(event, receipts)
    Subscriber.objects.update(breaker=BreakerState.DRAINING)
    assert "Waiting its turn" in words(rendered())


def test_customers_see_only_what_has_a_title_for_them(event: EventRecord) -> None:
    registry.subscriber("stock", events=["purchase.completed"])(repr)
    a_delivery(event, a_subscriber("stock", title="Stock"), "DEAD")
    a_delivery(event, Subscriber.objects.get(name="receipts"), "ACKNOWLEDGED")
    a_delivery(event, a_subscriber("partner", transport="webhook", title="Partner"))
    html = rendered()
    assert "Stock" not in html
    assert "Partner" not in html
    assert "All done" in words(html)
    assert "hx-trigger" not in html


def test_a_webhook_of_a_handlers_name_does_not_borrow_its_title(
    event: EventRecord, receipts: Subscriber
) -> None:
    Subscriber.objects.update(transport="webhook")
    a_delivery(event, receipts)
    assert "Your receipt" not in rendered()


def test_what_is_not_routed_yet_is_said_to_be_on_its_way() -> None:
    an_event(is_routed=False)
    html = rendered()
    assert "appear here in a moment" in words(html)
    assert 'hx-trigger="every 1s"' in html


def test_without_an_event_there_is_nothing_to_show() -> None:
    assert not rendered().strip()


def test_other_orders_and_other_sources_are_not_shown(receipts: Subscriber) -> None:
    a_delivery(an_event(subject="order-2"), receipts)
    a_delivery(an_event(source="/fulfilment"), receipts)
    assert not rendered().strip()


def test_a_follow_up_of_the_same_order_is_shown_below(receipts: Subscriber) -> None:
    a_delivery(an_event(), receipts, "ACKNOWLEDGED")
    a_delivery(an_event(type="purchase.refunded"), receipts)
    assert "1 of 2 done" in words(rendered())


@pytest.mark.parametrize(
    ("state", "fields", "trigger"),
    [
        # Something moves: each second.
        ("PENDING", {}, "every 1s"),
        ("LEASED", {}, "every 1s"),
        ("PENDING", {"failures": 3}, "every 1s"),
        # It waits for a person, who takes longer.
        ("DEAD", {}, "every 10s"),
        # Nothing will change.
        ("ACKNOWLEDGED", {}, None),
        ("CANCELLED", {}, None),
    ],
)
def test_the_page_asks_again_only_while_something_is_open(
    event: EventRecord,
    receipts: Subscriber,
    state: str,
    fields: dict[str, Any],
    trigger: str | None,
) -> None:
    a_delivery(event, receipts, state, **fields)
    html = rendered()
    assert ('hx-get="/again/"' in html) == (trigger is not None)
    assert trigger is None or f'hx-trigger="{trigger}" hx-swap="outerHTML"' in html


@pytest.fixture
def story(event: EventRecord, receipts: Subscriber) -> int:
    delivery = a_delivery(event, receipts, attempts=2, failures=2)
    for number, error in enumerate(["OSError: away", "ValueError: ada@example.org"], 1):
        Attempt.objects.create(
            delivery=delivery,
            number=number,
            result="RETRY",
            error=error,
            ended_at=timezone.now(),
        )
    return delivery.pk


@pytest.mark.usefixtures("story")
def test_a_customer_reads_nothing_of_the_machinery() -> None:
    html = rendered()
    assert "ValueError" not in html
    assert "purchase.completed" not in html
    assert "/admin/" not in html


@pytest.fixture
def operator(db: None) -> User:
    user = User.objects.create(username="ada", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_delivery"))
    return User.objects.get(pk=user.pk)


def test_staff_see_all_with_why_it_is_held_and_when_it_goes_on(
    event: EventRecord, receipts: Subscriber, operator: User
) -> None:
    paused = a_subscriber(
        "stock", title="Stock", state=SubscriberState.PAUSED, state_reason="Paused: tea"
    )
    a_delivery(event, paused)
    a_delivery(event, a_subscriber("renamed"))
    a_delivery(event, receipts)
    Subscriber.objects.filter(pk=receipts.pk).update(
        breaker=BreakerState.OPEN, probe_at=timezone.now() + timedelta(seconds=60)
    )
    text = words(rendered(operator))
    assert "Stock staff only Held: Paused: tea" in text
    assert "Held: The code of this subscriber is not installed here." in text
    assert re.search(
        r"Receipt by mail Held: Its receiver is unreachable. Next look .* in \d+ s",
        text,
    )


def test_staff_who_may_view_deliveries_see_the_story(
    story: int, operator: User
) -> None:
    html = rendered(operator)
    assert "2 attempts · 2 failures · last error ValueError" in words(html)
    assert f'/admin/router/delivery/{story}/change/"' in html
    assert "ada@example.org" not in html


@pytest.mark.usefixtures("story")
def test_staff_who_may_not_view_deliveries_see_what_customers_see() -> None:
    user = User.objects.create(username="ada", is_staff=True)
    assert "ValueError" not in rendered(user)


def test_a_title_is_text_and_never_markup(event: EventRecord, operator: User) -> None:
    registry.subscriber(
        "stock", events=["purchase.completed"], customer_title="<script>1</script>"
    )(repr)
    script = a_subscriber("stock", title="<script>2</script>")
    a_delivery(event, script)
    assert "<script>" not in rendered() + rendered(operator)


def test_the_statements_do_not_grow_with_the_subscribers(event: EventRecord) -> None:
    for number in range(5):
        a_delivery(event, a_subscriber(f"subscriber_{number}"), attempts=1)
    with CaptureQueriesContext(connection) as queries:
        progress_of(source="/shop", subject="order-1", with_errors=True)
    assert len(queries) == 4


def test_the_events_are_found_by_their_index() -> None:
    record = EventRecord.objects.filter(source="/shop", subject="order-1")
    assert "event_of_subject" in record.explain() or connection.vendor != "sqlite"
