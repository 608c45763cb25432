"""`GET /api/events/?after=`: the log in the order of positions."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from router.api.http import pagination
from router.models import EventRecord, LogHead
from router.public import publish
from router.testing import route
from tests.integration.api import Get, assert_problem
from tests.integration.rows import an_event

pytestmark = pytest.mark.usefixtures("empty_router")


def publish_some(count: int, **attributes: Any) -> None:
    for n in range(count):
        publish("thing.happened", n, **attributes)
    route()


def positions(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [result["position"] for result in response.json()["results"]]


def test_an_answer_says_where_the_log_ends(get: Get) -> None:
    assert get("events/").json()["position"] == 0
    publish_some(3)
    publish("thing.happened", "not yet routed")
    assert get("events/", page_size=1).json()["position"] == 3


def test_what_is_after_a_position_comes_oldest_first(get: Get) -> None:
    publish_some(5)
    publish("thing.happened", "not yet routed")
    assert positions(get("events/", after=0)) == [1, 2, 3, 4, 5]
    assert positions(get("events/", after=3)) == [4, 5]
    assert positions(get("events/", after=5)) == []
    assert positions(get("events/", after=2**63 - 1)) == []


def at_positions(*positions: int) -> list[int]:
    """The numbers of new events, which get these positions in turn."""
    numbers = []
    for position in positions:
        number = an_event(is_routed=False).number
        EventRecord.objects.filter(pk=number).update(position=position)
        numbers.append(number)
    LogHead.objects.update(position=max(positions))
    return numbers


def test_the_order_is_that_of_positions_not_of_numbers(get: Get) -> None:
    """What committed late has a lower number, and a higher position."""
    late, first, second = at_positions(3, 1, 2)

    results = get("events/", after=0).json()["results"]

    assert [each["number"] for each in results] == [first, second, late]


def test_a_number_is_not_taken_for_a_position(
    get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page ends before an event whose number is the position of its own."""
    monkeypatch.setattr(pagination, "within_bytes", lambda rows: [next(rows)[0]])
    late, early = at_positions(10**9 + 2, 10**9 + 1)
    EventRecord.objects.filter(pk=early).update(position=late)
    page = get("events/", after=late - 1).json()
    assert [each["number"] for each in page["results"]] == [early]

    rest = get("events/", after=late - 1, cursor=page["next"]).json()

    assert [each["number"] for each in rest["results"]] == [late]


@pytest.mark.parametrize("is_heavy", [False, True])
def test_pages_go_on_with_their_cursor(
    get: Get, is_heavy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_some(7)
    size = 7 if is_heavy else 2
    if is_heavy:
        # A page ends after one row where the rows are too heavy.
        monkeypatch.setattr(pagination, "within_bytes", lambda rows: [next(rows)[0]])
    listed: list[int] = []
    query: dict[str, Any] = {}
    while True:
        page = get("events/", after=1, page_size=size, **query)
        listed += positions(page)
        if page.json()["next"] is None:
            break
        query = {"cursor": page.json()["next"]}

    assert listed == [2, 3, 4, 5, 6, 7]


def test_filters_hold_as_well(get: Get) -> None:
    publish_some(2)
    publish_some(2, subject="one")
    assert positions(get("events/", after=1, subject="one")) == [3, 4]


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "", str(2**63)])
def test_a_wrong_position_is_named(get: Get, after: str) -> None:
    problem = assert_problem(get("events/", after=after), 400)
    assert problem["errors"][0]["pointer"] == "/after"


def test_a_page_asks_no_more_for_more_events(get: Get) -> None:
    publish_some(1)
    with CaptureQueriesContext(connection) as one:
        get("events/", after=0)
    publish_some(20)
    with CaptureQueriesContext(connection) as many:
        get("events/", after=0)
    assert len(one) == len(many)
