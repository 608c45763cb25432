"""Lists have a limit in bytes, and read no more data than they show."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router.conf import conf
from router.models import Attempt, Delivery, EventSchema
from router.public import publish
from tests.integration.api import Get, assert_problem
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event

pytestmark = pytest.mark.usefixtures("empty_router")
MIB = 1024 * 1024
DATA = '"router_eventrecord"."data"'


def all_pages(get: Get, path: str, **query: Any) -> list[list[Any]]:
    """The rows of each page, until there is no next one."""
    pages: list[list[Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = get(path, **query, **({"cursor": cursor} if cursor else {})).json()
        pages.append(answer["results"])
        cursor = answer["next"]
    return pages


def test_a_page_of_the_log_ends_where_it_becomes_too_heavy(get: Get) -> None:
    sizes = [1, 3 * MIB, 1, MIB - 2, 5 * MIB, 5 * MIB, 1, 1]
    events = [an_event(size_bytes=size).number for size in sizes]
    pages = all_pages(get, "events/", page_size=500)
    numbers = [[each["number"] for each in page] for page in pages]
    assert sum(numbers, []) == events[::-1]
    assert [len(page) for page in numbers] == [2, 1, 1, 4]


@pytest.mark.parametrize("page_size", [1, 2, 3, 500])
def test_the_cursor_is_right_wherever_a_page_ends(get: Get, page_size: int) -> None:
    events = [an_event(size_bytes=size * MIB).number for size in (2, 2, 2, 9, 1, 1, 2)]
    pages = all_pages(get, "events/", page_size=page_size, type="purchase.completed")
    assert [each["number"] for page in pages for each in page] == events[::-1]
    assert all(pages)


def test_data_of_the_next_page_is_not_read(get: Get) -> None:
    for _ in range(8):
        publish("thing.happened", "ж" * (MIB // 2 - 1))
    with CaptureQueriesContext(connection) as captured:
        answer = get("events/", page_size=500)
    assert len(answer.json()["results"]) == 4
    assert len(answer.content) < conf().chunk_bytes + 100_000
    reading = [query["sql"] for query in captured if DATA in query["sql"]]
    assert len(reading) == 1
    # The key, the sizes, the data, and how far the log is pruned.
    assert len(captured) == 4, [query["sql"] for query in captured]


def test_a_cursor_that_leads_back_is_none_of_a_list(get: Get) -> None:
    assert_problem(get("events/", cursor="cj0xJnA9MQ=="), 400)  # r=1&p=1


def test_a_page_of_schemas_ends_where_it_becomes_too_heavy(get: Get) -> None:
    for number in range(6):
        EventSchema.objects.create(
            type="thing.happened",
            dataschema=f"urn:{number}",
            schema={"$id": f"urn:{number}", "description": "x" * MIB},
        )
    pages = all_pages(get, "schemas/", page_size=500)
    assert [each["dataschema"] for page in pages for each in page] == [
        f"urn:{number}" for number in reversed(range(6))
    ]
    assert [len(page) for page in pages] == [3, 3]


def test_attempts_of_many_deliveries_are_few_each(
    get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.api.events.log.MAX_ATTEMPTS_IN_ALL", 10)
    event = an_event()
    for name in "abcd":
        delivery = a_delivery(event, a_subscriber(name))
        Attempt.objects.bulk_create(
            Attempt(
                delivery=delivery, number=n, result="RETRY", ended_at=timezone.now()
            )
            for n in range(1, 6)
        )
    shown = get(f"events/{event.number}/").json()["deliveries"]
    assert [
        [attempt["number"] for attempt in each["attempt_log"]] for each in shown
    ] == [[5, 4]] * 4


@pytest.mark.parametrize(
    "address",
    [
        "/admin/router/eventrecord/",
        "/admin/router/delivery/",
        "/admin/router/failedtask/",
        "/admin/router/eventschema/",
        "/admin/router/subscriber/{subscriber}/change/",
    ],
)
def test_no_list_of_the_admin_reads_data(client: Client, address: str) -> None:
    client.force_login(User.objects.create_superuser("root"))
    subscriber = a_subscriber("mail", events=["purchase.completed"])
    a_failed_task(a_delivery(an_event(), subscriber, "DEAD", attempts=1))
    assert Delivery.objects.exists()
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(address.format(subscriber=subscriber.pk))
    assert answer.status_code == 200
    heavy = (DATA, '"router_eventschema"."schema"')
    assert not [
        query["sql"] for query in captured if any(h in query["sql"] for h in heavy)
    ]
