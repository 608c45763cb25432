"""The story of an order: what became of its events for each subscriber, by time."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from router.models import EventRecord, FailedTask, Subscriber
from router.observe import story
from router.observe.story import story_of
from router.operate.failed_tasks import retry
from router.operate.substitutes import Act, edit_and_retry, redirect
from router.public import Event, Reject, publish
from router.testing import deliver_due, skip_waits
from tests.integration.rows import a_delivery, a_subscriber, an_event
from tests.integration.staff import a_viewer
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)

OLGA = Act(by="user olga", note="wrong currency")
TRACE = "0af7651916cd43dd8448eb211c80319c"


def judge(event: Event) -> None:
    if event.data["currency"] == "XXX":
        raise Reject("unknown currency XXX")


def buy(currency: str = "EUR") -> EventRecord:
    publish(
        "order.paid",
        {"currency": currency},
        source="/shop",
        subject="order-7",
        traceparent=f"00-{TRACE}-b7ad6b7169203331-01",
    )
    deliver_due()
    return EventRecord.objects.filter(type="order.paid").latest("number")


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def page_of(event: EventRecord) -> str:
    address = reverse("admin:router_eventrecord_story", args=[event.pk])
    html = a_viewer().get(address).content.decode()
    return words(html[html.index("<main") if "<main" in html else 0 :])


def in_order(page: str, *parts: str) -> bool:
    places = [page.find(part) for part in parts]
    assert -1 not in places, [part for part in parts if part not in page]
    return places == sorted(places)


def test_it_begins_with_the_event_and_ends_with_the_chunk(declare: Declare) -> None:
    declare("erp", judge, events=["order.paid"])
    event = buy()
    page = page_of(event)
    assert in_order(
        page,
        f"order.paid #{event.pk}",
        "Source /shop",
        f"Routed at position {event.position}",
        f"Trace id {TRACE}",
        f"#{event.pk} for Erp",
        "Erp acknowledged it at",
        "In a chunk of 1 event",
    )
    ((part,),) = [each.parts for each in story_of(event).events]
    assert "on worker" in part.entries[0].words


def test_a_given_up_event_is_edited_and_retried(declare: Declare) -> None:
    declare("erp", judge, events=["order.paid"])
    event = buy("XXX")
    failed = FailedTask.objects.get()
    retry([failed.pk], by="user eve", note="once more")
    deliver_due()
    again = FailedTask.objects.open().get()
    edit_and_retry(again.pk, {"currency": "EUR"}, OLGA)
    skip_waits()
    deliver_due()
    corrected = EventRecord.objects.filter(type="order.paid").latest("number")
    page = page_of(event)
    assert in_order(
        page,
        f"#{event.pk} for Erp",
        f"olga edited it: event #{corrected.pk} took its place",
        "Attempt 1: Reject: unknown currency XXX",
        "The router gave it up: Reject: unknown currency XXX",
        f"Failed task {failed.pk}",
        "By user eve: once more",
        "Attempt 2 by hand",
        f"Failed task {again.pk}",
        f"By user olga, edited: event #{corrected.pk} takes its place: wrong currency",
        f"#{corrected.pk} for Erp",
        "Erp acknowledged it at",
    )
    assert story_of(corrected) == story_of(event)


def test_a_redirected_event_leads_to_the_other_subscriber(declare: Declare) -> None:
    declare("erp", judge, events=["order.paid"])
    spare = declare("spare", events=["never.happens"])
    event = buy("XXX")
    owed = redirect(FailedTask.objects.get().pk, spare.row, OLGA)
    assert in_order(
        page_of(event),
        f"By user olga, to Spare: wrong currency Delivery {owed.pk}",
        f"#{event.pk} for Spare",
        "In place of delivery",
    )


def test_a_retrying_delivery_shows_request_response_and_what_is_next(
    empty_router: None,
) -> None:
    event = an_event()
    row = a_subscriber("erp", transport="webhook", url="https://erp.example/")
    soon = timezone.now() + timedelta(hours=1)
    tried(event, row, failures=1, attempts=1, due_at=soon)
    page = page_of(event)
    assert in_order(
        page,
        "1 attempt did not acknowledge it: HTTP 503: busy. The next attempt is at",
        "Attempt 1: HTTP 503: busy",
        "Response 503 and request",
        "https://erp.example/hook",
        "1,250 ms",
    )


def tried(event: EventRecord, row: Subscriber, *args: str, **fields: Any) -> None:
    delivery = a_delivery(event, row, *args, **fields)
    for number in range(1, fields["attempts"] + 1):
        delivery.attempt_log.create(
            number=number,
            result="RETRY",
            error="HTTPError: 503",
            duration_ms=1250,
            http_status=503,
            answer="busy\nreally",
            request={"url": "https://erp.example/hook"},
            ended_at=timezone.now(),
        )


def cost_of(event: EventRecord) -> int:
    with CaptureQueriesContext(connection) as captured:
        story_of(event)
    return len(captured)


def test_its_statements_do_not_grow(
    empty_router: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "MAX_EXPLAINED", 0)
    event = an_event()
    tried(event, a_subscriber("first"), "ACKNOWLEDGED", attempts=1)
    # What each process reads once.
    story_of(event)
    cost = cost_of(event)
    assert cost <= 7
    for number in range(5):
        row = a_subscriber(f"s{number}", filter={"exact": {"data.secret": "x"}})
        for each in (event, an_event()):
            tried(each, row, attempts=3)
    assert cost_of(event) == cost
    assert sum(len(each.parts) for each in story_of(event).events) == 11


def test_few_of_what_is_not_done_are_explained(
    empty_router: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "MAX_EXPLAINED", 2)
    event = an_event()
    for number in range(3):
        tried(event, a_subscriber(f"s{number}"), attempts=1)
    (shown,) = story_of(event).events
    assert [bool(part.sentence) for part in shown.parts] == [True, True, False]


def test_what_is_beyond_the_limits_is_named(
    empty_router: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "MAX_EVENTS", 2)
    monkeypatch.setattr(story, "MAX_ATTEMPTS", 2)
    first, _, last = an_event(), an_event(), an_event()
    tried(last, a_subscriber("erp"), attempts=3)
    shown = story_of(last)
    assert [each.event for each in shown.events] == [first, last]
    assert [each.attempt.number for each in shown.events[1].parts[0].entries] == [2, 3]  # type: ignore[union-attr]
    page = page_of(last)
    assert "The subject has more events than these 2" in page
    assert "Only the newest attempts are here" in page


def test_events_without_a_subject_are_alone(empty_router: None) -> None:
    event, _ = an_event(subject=""), an_event(subject="")
    assert [each.event for each in story_of(event).events] == [event]


def test_it_is_reached_from_the_list_and_the_page_of_the_event(
    empty_router: None,
) -> None:
    event = an_event(is_routed=False)
    address = f'href="{reverse("admin:router_eventrecord_story", args=[event.pk])}"'
    viewer = a_viewer()
    for page in ("?q=order-1", f"{event.pk}/change/"):
        shown = viewer.get(f"/admin/router/eventrecord/{page}").content.decode()
        assert address in shown, page


def test_the_search_of_the_dashboard_opens_the_story_of_an_order() -> None:
    order = an_event(subject="order-7", event_id="paid")
    an_event(subject="order-7", event_id="sent")
    viewer = a_viewer()

    def found(term: str) -> str:
        answer = viewer.get(reverse("admin:router_eventrecord_find"), {"q": term})
        assert answer.status_code == 302
        return str(answer["Location"])

    story_page = reverse("admin:router_eventrecord_story", args=[order.pk])
    assert found(" paid ") == story_page
    assert found(f"#{order.pk}") == story_page
    assert found("order-7").endswith("/story/")


def test_a_search_that_means_several_stories_or_none_opens_the_list() -> None:
    an_event(subject="7", source="/shop")
    an_event(subject="7", source="/outlet", event_id="other")
    for number in range(2):
        an_event(subject="", event_id="same", source=f"/plain/{number}")
    viewer = a_viewer()
    events = reverse("admin:router_eventrecord_changelist")
    for term, query in {"7": "7", "same": "same", "a b": "a+b", "": ""}.items():
        answer = viewer.get(reverse("admin:router_eventrecord_find"), {"q": term})
        assert answer["Location"] == f"{events}?q={query}"
