"""What screens and calls tell of subscribers that have no delivery of their events."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.management import call_command
from django.db import connection
from django.template import RequestContext, Template
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from router.flow.cursor import turn
from router.flow.cursor.reading import next_chunk
from router.management.screens.tail import Tail
from router.models import ApiKey, AuditEntry, Cursor, Delivery, EventRecord, Subscriber
from router.observe import above
from router.observe.progress import progress_of
from router.public import Event, publish
from router.testing import deliver_due, route
from tests.integration.api import Get
from tests.integration.staff import a_viewer, an_operator
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)

TAG = Template(
    "{% load router_progress %}{% delivery_progress source='/shop' "
    "subject='order-1' refresh_url='/again/' %}"
)


def send(count: int = 1) -> None:
    for _ in range(count):
        publish("parcel.sent", {}, source="/shop", subject="order-1")


@pytest.fixture
def receipts(declare: Declare) -> Subscriber:
    return declare(
        "receipts", events=["parcel.sent"], customer_title="Your receipt"
    ).row


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def order_page(user: Any = None) -> str:
    request = RequestFactory().get("/orders/order-1/")
    request.user = user or AnonymousUser()
    return TAG.render(RequestContext(request))


class TestOrderPage:
    def test_it_goes_from_recorded_to_done(self, receipts: Subscriber) -> None:
        send()
        assert "appear here in a moment" in words(order_page())
        route()
        assert "Your receipt Waiting its turn" in words(order_page())
        assert 'hx-trigger="every 1s"' in order_page()
        chunk = next_chunk(receipts.pk)
        assert chunk is not None
        assert "Your receipt Working on it now" in words(order_page())
        assert "progress__item--working" in order_page()
        assert 'hx-trigger="every 1s"' in order_page()

    def test_done_has_its_time_and_asks_no_more(self, receipts: Subscriber) -> None:
        send()
        deliver_due()
        html = order_page()
        assert re.search(r"All done\. Your receipt Done \d+ (ms|s)", words(html))
        assert "hx-get" not in html
        assert not Delivery.objects.exists()

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"state": "paused", "state_reason": "Paused: tea"}, "Held: Paused: tea"),
            ({"breaker": "open"}, "Held: Its receiver is unreachable."),
        ],
    )
    def test_held_tells_staff_why(
        self, receipts: Subscriber, fields: dict[str, Any], reason: str
    ) -> None:
        send()
        route()
        Subscriber.objects.update(**fields)
        assert "On hold for now" in words(order_page())
        assert reason in words(order_page(an_admin()))

    def test_staff_get_to_the_event_where_there_is_no_delivery(
        self, receipts: Subscriber
    ) -> None:
        send()
        deliver_due()
        number = EventRecord.objects.get().number
        page = order_page(an_admin())
        assert reverse("admin:router_eventrecord_change", args=[number]) in page
        assert reverse("admin:router_eventrecord_story", args=[number]) in page
        assert "1 attempt · 0 failures" in words(page)

    def test_what_failed_is_shown_by_its_delivery(self, declare: Declare) -> None:
        def refuse(event: Event) -> None:
            raise ValueError("ada@example.org")

        declare("receipts", refuse, events=["parcel.sent"], customer_title="R")
        send()
        deliver_due()
        page = order_page(an_admin())
        assert "Did not work yet" in words(page)
        assert "1 attempt · 1 failure · last error ValueError" in words(page)
        delivery = Delivery.objects.get()
        assert reverse("admin:router_delivery_change", args=[delivery.pk]) in page

    def test_four_statements_whatever_the_number_of_subscribers(
        self, declare: Declare
    ) -> None:
        for index in range(4):
            declare(f"subscriber_{index}", events=["parcel.*"])
        send(3)
        deliver_due()
        # Statements that are built once each have an empty transaction then.
        progress_of(source="/shop", subject="order-1")
        with CaptureQueriesContext(connection) as queries:
            progress = progress_of(source="/shop", subject="order-1")
        assert progress.done_count == 12
        assert len(queries) == 4


def an_admin() -> User:
    return User.objects.create_superuser(f"ada-{User.objects.count()}")


class TestEvent:
    def test_its_page_shows_who_is_done_and_who_waits(self, declare: Declare) -> None:
        declare("receipts", events=["parcel.*"])
        send()
        deliver_due()
        Subscriber.objects.update(state="paused")
        declare("stock", events=["parcel.*"])
        # Owed to both from here on, and served by one of them.
        send()
        deliver_due()
        first, second = EventRecord.objects.order_by("number")
        viewer = a_viewer()
        shown = words(viewer.get(page_of(first)).content.decode())
        assert "Receipts check_circle Acknowledged 1 0 –" in shown
        assert "Stock check_circle" not in shown
        shown = words(viewer.get(page_of(second)).content.decode())
        assert "Receipts pause_circle Held 0 0 – –" in shown
        assert "Stock check_circle Acknowledged 1 0 –" in shown

    def test_the_api_tells_the_same(self, receipts: Subscriber, get: Get) -> None:
        send()
        number = EventRecord.objects.get().number
        assert get(f"events/{number}/").json()["deliveries"] == []
        route()
        (waiting,) = get(f"events/{number}/").json()["deliveries"]
        assert waiting == {
            "id": None,
            "subscriber": "receipts",
            "state": "PENDING",
            "origin": "live",
            "attempts": 0,
            "failures": 0,
            "due_at": None,
            "waits_for": None,
            "acknowledged_at": None,
            "attempt_log": [],
        }
        chunk = next_chunk(receipts.pk)
        assert chunk is not None
        (working,) = get(f"events/{number}/").json()["deliveries"]
        assert (working["state"], working["attempts"]) == ("LEASED", 1)
        turn.give_back(receipts.pk, chunk.token)
        deliver_due()
        (done,) = get(f"events/{number}/").json()["deliveries"]
        assert (done["id"], done["state"]) == (None, "ACKNOWLEDGED")
        assert (done["attempts"], done["failures"]) == (1, 0)
        assert done["acknowledged_at"]

    def test_the_api_shows_a_bound_key_its_own_subscribers_alone(
        self, declare: Declare, get: Get
    ) -> None:
        for name in ("erp", "crm_north", "stock"):
            declare(name, events=["parcel.*"])
        ApiKey.objects.update(
            sources=["/shop"], types=["parcel.*"], subscribers=["erp", "crm_*"]
        )
        send()
        deliver_due()
        number = EventRecord.objects.get().number
        owed = get(f"events/{number}/").json()["deliveries"]
        assert {each["subscriber"] for each in owed} == {"erp", "crm_north"}


def test_a_search_for_deliveries_leads_to_the_event(receipts: Subscriber) -> None:
    send(2)
    deliver_due()
    first, second = EventRecord.objects.order_by("number")
    viewer = a_viewer()
    page = viewer.get("/admin/router/delivery/", {"q": "order-1"}).content.decode()
    assert page_of(first) in page
    assert page_of(second) in page
    assert "The page of an event says" in page
    page = viewer.get("/admin/router/delivery/", {"q": "order-2"}).content.decode()
    assert "The page of an event says" not in page


def page_of(event: EventRecord) -> str:
    return reverse("admin:router_eventrecord_change", args=[event.number])


class TestSubscribers:
    def test_the_dashboard_counts_what_waits_above_cursors(
        self, receipts: Subscriber
    ) -> None:
        send(3)
        deliver_due()
        send(2)
        route()
        page = a_viewer().get("/admin/")
        assert page.context["moving"] == "2"
        (row,) = page.context["subscribers"]
        assert row.backlog == "2 moving"
        assert row.overview.oldest_owed_at

    def test_more_than_is_looked_at_is_said_so(
        self, receipts: Subscriber, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(above, "LOOK", 2)
        send(3)
        route()
        viewer = a_viewer()
        assert viewer.get("/admin/").context["moving"] == "2+"
        of_list = viewer.get("/admin/router/subscriber/").content.decode()
        assert "2+ moving" in of_list
        assert "2+" in printed("status")

    def test_its_page_tells_what_it_did_and_what_waits(
        self, receipts: Subscriber
    ) -> None:
        send(3)
        deliver_due()
        send(1)
        route()
        address = reverse("admin:router_subscriber_change", args=[receipts.pk])
        shown = words(a_viewer().get(address).content.decode())
        assert "Waiting 1 Working 0" in shown
        assert "In the last minute 3 acknowledged" in shown

    def test_status_has_rate_and_backlog(self, receipts: Subscriber) -> None:
        send(3)
        deliver_due()
        send(2)
        route()
        line = next(
            each for each in printed("status").splitlines() if "receipts" in each
        )
        assert re.match(r"receipts +active +3 +2 +\d+\.\d s +0 +0", line), line


def printed(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


class TestTail:
    def test_a_chunk_appears_once(self, receipts: Subscriber) -> None:
        tail = Tail()
        tail.last(0)
        send()
        deliver_due()
        number = EventRecord.objects.get().number
        published, done = (line.text.plain for line in tail.new())
        assert published.endswith(f"#{number} parcel.sent published by /shop")
        assert re.search(
            rf"#{number} parcel.sent → receipts acknowledged in \d+ ms", done
        )
        assert not tail.new()

    def test_a_chunk_of_more_is_one_line(self, receipts: Subscriber) -> None:
        send()
        deliver_due()
        tail = Tail()
        tail.last(0)
        publish("other.happened", {}, source="/shop")
        send(3)
        deliver_due()
        numbers = sorted(EventRecord.objects.values_list("number", flat=True))
        done = [each.text.plain for each in tail.new() if "→" in each.text.plain]
        (line,) = done
        assert re.search(
            rf"#{numbers[2]} to #{numbers[4]} → receipts acknowledged 3 events "
            r"in \d+ ms each",
            line,
        )
        assert Cursor.objects.get().position == 5


def test_an_operator_sends_an_event_again_that_left_no_delivery(
    receipts: Subscriber,
) -> None:
    send()
    deliver_due()
    event = EventRecord.objects.get()
    address = reverse("admin:router_eventrecord_resend", args=[event.pk])
    operator = an_operator()

    chosen = {"subscriber": receipts.pk, "reason": "lost there"}
    assert "Tick that" in words(
        operator.post(address, chosen, follow=True).content.decode()
    )
    assert not Delivery.objects.exists()

    sent = operator.post(address, {**chosen, "is_sure": "1"}, follow=True)

    owed = Delivery.objects.get()
    assert f"Delivery {owed.pk} is on its way" in words(sent.content.decode())
    assert (owed.run, owed.origin, owed.state) == (1, "replay", "PENDING")
    assert deliver_due() == 1
    noted = AuditEntry.objects.get()
    assert (noted.action, noted.reason) == ("event.resent", "lost there")
