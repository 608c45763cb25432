"""The list of deliveries, and the page of one: where it is, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from router.admin import delivery_filters
from router.models import (
    Attempt,
    BreakerState,
    Delivery,
    Subscriber,
    SubscriberState,
    Transport,
)
from tests.integration.rows import a_delivery, a_subscriber, an_event
from tests.integration.staff import a_viewer

pytestmark = pytest.mark.usefixtures("empty_router")

LIST = "/admin/router/delivery/"


def a_receiver(name: str, **fields: Any) -> Subscriber:
    url = "https://receiver.example/"
    return a_subscriber(name, transport=Transport.WEBHOOK, url=url, **fields)


def shown(viewer: Client, **query: str) -> list[str]:
    """The subscribers of the deliveries that the list shows, by name."""
    rows = viewer.get(LIST, query).context["cl"].result_list
    return sorted(row.subscriber.name for row in rows)


@pytest.fixture
def one_of_each(empty_router: None) -> None:
    soon = timezone.now() + timedelta(hours=1)
    a_delivery(an_event(), a_receiver("well"))
    a_delivery(an_event(), a_receiver("ordered"), due_at=None, ordering_key="k")
    a_delivery(an_event(), a_receiver("down", breaker=BreakerState.OPEN))
    a_delivery(an_event(), a_receiver("asks", not_before=soon))
    a_delivery(an_event(), a_receiver("rests", state=SubscriberState.PAUSED))
    a_delivery(an_event(), a_subscriber("codeless"))
    a_delivery(an_event(), a_receiver("done"), "ACKNOWLEDGED")


HELD = {
    "receiver": "down",
    "asked": "asks",
    "operator": "rests",
    "code": "codeless",
    "key": "ordered",
}


@pytest.mark.usefixtures("one_of_each")
def test_what_is_held_stands_apart_from_what_waits() -> None:
    viewer = a_viewer()
    assert shown(viewer, state="waiting") == ["well"]
    assert shown(viewer, state="held") == sorted(HELD.values())
    assert {by: shown(viewer, held_by=by) for by in HELD} == {
        by: [name] for by, name in HELD.items()
    }
    page = viewer.get(LIST).content.decode()
    assert page.count("</span>Held</span>") == len(HELD)


def test_they_are_found_by_type_and_time() -> None:
    old = timezone.now() - timedelta(hours=2)
    a_delivery(an_event(type="a.b", recorded_at=old), a_receiver("old"))
    a_delivery(an_event(type="a.b"), a_receiver("new"))
    a_delivery(an_event(type="c.d"), a_receiver("other"))
    viewer = a_viewer()
    assert shown(viewer, type="a.b") == ["new", "old"]
    assert shown(viewer, type="a.b", recorded="hour") == ["new"]
    assert shown(viewer, recorded="day") == ["new", "old", "other"]


def test_what_is_open_is_found_by_type_however_old_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a_delivery(an_event(type="a.b"), a_receiver("old"))
    a_delivery(an_event(type="a.b"), a_receiver("new"), "ACKNOWLEDGED")
    viewer = a_viewer()
    monkeypatch.setattr(delivery_filters, "MAX_ROWS", 1)
    assert shown(viewer, type="a.b") == ["new"]
    assert shown(viewer, type="a.b", state="waiting") == ["old"]


def failing(name: str) -> Delivery:
    delivery = a_delivery(
        an_event(), a_receiver(name), failures=1, attempts=1, due_at=timezone.now()
    )
    Attempt.objects.create(
        delivery=delivery,
        number=1,
        result="RETRY",
        error="HttpStatus: 422",
        http_status=422,
        answer="unknown currency XXX in line 3",
        ended_at=timezone.now(),
    )
    return delivery


def test_the_list_has_the_error_in_the_receivers_words() -> None:
    viewer = a_viewer()

    def statements(name: str) -> int:
        failing(name)
        with CaptureQueriesContext(connection) as queries:
            page = viewer.get(LIST).content.decode()
        assert "HTTP 422: unknown currency XXX in line 3" in page
        return len(queries)

    statements("first")
    assert statements("second") == statements("third")


def test_an_error_that_is_over_is_not_shown() -> None:
    delivery = failing("erp")
    Delivery.objects.update(state="ACKNOWLEDGED", acknowledged_at=timezone.now())
    assert "HTTP 422" not in a_viewer().get(LIST).content.decode()
    # Its page has all attempts.
    assert "HTTP 422: unknown currency XXX in line 3" in page_of(delivery)


def page_of(delivery: Delivery) -> str:
    address = reverse("admin:router_delivery_change", args=[delivery.pk])
    return " ".join(a_viewer("vic").get(address).content.decode().split())


def test_the_page_says_in_one_sentence_why_it_is_there() -> None:
    delivery = failing("erp")
    Delivery.objects.update(due_at=timezone.now() + timedelta(hours=1))
    sentence = (
        "1 attempt did not acknowledge it: HTTP 422: unknown currency XXX in line 3. "
        "The next attempt is at "
    )
    assert f'<p class="fan-body fan-answer">{sentence}' in page_of(delivery)


def test_of_a_run_the_page_tells_of_its_own_delivery() -> None:
    event, erp = an_event(), a_receiver("erp")
    a_delivery(event, erp, "ACKNOWLEDGED")
    again = a_delivery(event, erp, "LEASED", run=1, origin="replay")
    assert "A worker works on it now" in page_of(again)
