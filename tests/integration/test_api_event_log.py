"""The log read over HTTP."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from router.api.http.pagination import CURSOR
from router.models import Delivery, EventRecord
from tests.integration.api import Get, assert_problem
from tests.integration.rows import a_delivery, a_subscriber, an_event

pytestmark = pytest.mark.usefixtures("empty_router")


def numbers(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [result["number"] for result in response.json()["results"]]


def test_the_newest_come_first_in_pages(get: Get) -> None:
    events = [an_event().number for _ in range(5)]
    listed: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"page_size": 2, **({"cursor": cursor} if cursor else {})}
        page = get("events/", **query)
        listed += numbers(page)
        cursor = page.json()["next"]
    assert listed == events[::-1]


@given(st.integers(0, 10**18 - 1))
def test_the_description_knows_each_cursor_that_is_answered(position: int) -> None:
    assert re.search(CURSOR, b64encode(b"p=%d" % position).decode())


@given(st.from_regex(CURSOR, fullmatch=True))
def test_each_cursor_of_the_description_names_a_position(cursor: str) -> None:
    assert re.fullmatch(rb"p=\d{1,18}", b64decode(cursor, validate=True))


@pytest.mark.parametrize("size", ["500", "501", "9" * 5000, "0" * 5000 + "7"])
def test_a_page_has_its_largest_size(get: Get, size: str) -> None:
    an_event()
    assert len(numbers(get("events/", page_size=size))) == 1


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59-14:00",
        "2026-02-03T04:05:06",
        "2026-02-03",
    ],
)
def test_a_moment_at_the_end_of_time_is_no_trouble(
    get: Get, name: str, moment: str
) -> None:
    assert get("events/", **{name: moment}).status_code in (200, 400)


def test_an_event_is_shown_as_it_was_published(get: Get) -> None:
    event = an_event(is_routed=False, extensions={"tenant": "north"})
    (shown,) = get("events/").json()["results"]
    assert (shown["number"], shown["position"]) == (event.number, None)
    assert shown["event"] == event.to_event().to_cloudevent()


def test_the_log_is_narrowed(get: Get) -> None:
    first = an_event(type="parcel.lost", source="/a", subject="s-1").number
    two = an_event(type="parcel.lost", source="/b", subject="s-1").number
    three = an_event(type="parcel.found", source="/b", subject="s-2").number
    assert numbers(get("events/", type="parcel.lost")) == [two, first]
    assert numbers(get("events/", source="/b")) == [three, two]
    assert numbers(get("events/", subject="s-1")) == [two, first]
    assert numbers(get("events/", subject="s-1", source="/a")) == [first]
    assert numbers(get("events/", type="parcel.lost", source="/b", subject="s-2")) == []


def test_a_span_of_time_is_that_of_the_recording(get: Get) -> None:
    moment = timezone.now()
    events = [an_event().number for _ in range(3)]
    for place, number in enumerate(events):
        EventRecord.objects.filter(pk=number).update(
            recorded_at=moment + timedelta(hours=place)
        )
    hour = (moment + timedelta(hours=1)).isoformat()
    assert numbers(get("events/", since=hour)) == [events[2], events[1]]
    assert numbers(get("events/", until=hour)) == [events[0]]
    assert numbers(get("events/", since=hour, until=hour)) == []


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"since": "yesterday"}, "/since"),
        ({"until": "2026-13-01T00:00:00Z"}, "/until"),
        ({"type": "a\x00b"}, "/type"),
        ({"subject": ""}, "/subject"),
        ({"source": "x" * 256}, "/source"),
        ({"souce": "/shop"}, "/souce"),  # It must not mean "all".
        ({"page_size": "many"}, "/page_size"),
        ({"page_size": "0"}, "/page_size"),
        ({"page_size": "-1"}, "/page_size"),
        ({"page_size": "²"}, "/page_size"),
        ({"cursor": ""}, "/cursor"),  # It must not mean the first page.
        ({"cursor": "nonsense"}, "/cursor"),
        ({"cursor": "cD1hYmM="}, "/cursor"),  # p=abc
    ],
)
def test_a_query_that_can_not_be_is_pointed_at(
    get: Get, query: dict[str, str], pointer: str
) -> None:
    body = assert_problem(get("events/", **query), 400)
    assert [error["pointer"] for error in body["errors"]] == [pointer]


def test_an_event_is_shown_with_its_deliveries_and_attempts(get: Get) -> None:
    event, erp = an_event(), a_subscriber("erp")
    delivery = a_delivery(event, erp, "ACKNOWLEDGED", attempts=2, failures=1)
    now = timezone.now()
    for number, result in ((1, "RETRY"), (2, "ACKNOWLEDGED")):
        delivery.attempt_log.create(
            number=number, result=result, ended_at=now, http_status=200, answer="ok"
        )
    shown = get(f"events/{event.number}/").json()
    assert (shown["number"], shown["position"]) == (event.number, event.position)
    assert shown["event"]["id"] == event.event_id
    (owed,) = shown["deliveries"]
    assert (owed["id"], owed["subscriber"]) == (delivery.pk, "erp")
    assert (owed["state"], owed["attempts"]) == ("ACKNOWLEDGED", 2)
    assert owed["failures"] == 1
    assert owed["due_at"]
    assert owed["acknowledged_at"]
    attempts = [(each["number"], each["result"]) for each in owed["attempt_log"]]
    assert attempts == [(2, "ACKNOWLEDGED"), (1, "RETRY")]
    assert owed["attempt_log"][0]["answer"] == "ok"


@pytest.mark.parametrize("number", ["0", "99", "9" * 30, "9" * 5000, "-1", "x"])
def test_an_event_that_is_not_there_is_not_found(get: Get, number: str) -> None:
    assert_problem(get(f"events/{number}/"), 404)


def test_more_rows_take_no_more_statements(get: Get) -> None:
    def statements(path: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert get(path).status_code == 200
        return len(captured)

    event = an_event()
    a_delivery(event, a_subscriber("first"))
    few = [statements(path) for path in ("events/", f"events/{event.number}/")]
    for number in range(5):
        delivery = a_delivery(an_event(), a_subscriber(f"more-{number}"))
        Delivery.objects.filter(pk=delivery.pk).update(event=event)
        delivery.attempt_log.create(number=1, result="RETRY", ended_at=timezone.now())
    assert [statements(path) for path in ("events/", f"events/{event.number}/")] == few
