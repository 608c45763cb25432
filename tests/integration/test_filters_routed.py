"""Filters as routing evaluates them: over attributes, over data, and by SQL."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from router.flow.cursor import matching
from router.flow.route.routing import route_batch
from router.models import Delivery, FailedTask
from router.public import Event, publish, subscriber
from router.registry import isolated
from router.testing import deliver_due, isolated_subscribers, register_declared
from tests.integration.rows import a_subscriber

pytestmark = pytest.mark.usefixtures("empty_router")
OVER_DATA = {"exact": {"data.customer.country": "AT"}}
BY_SQL = {"sql": "EXISTS region AND region IN ('AT', 'DE') OR subject LIKE 'vip-%'"}
#: Routing learns how many subscribers there are, and how many events it may read.
LEARNING = 3


def puller(name: str, filter: Any, **fields: Any) -> None:
    defaults = {"events": ["ticket.*"], "transport": "pull"}
    a_subscriber(name, filter=filter, **{**defaults, **fields})


def sell(*countries: str, **attributes: Any) -> None:
    with transaction.atomic():
        for country in countries:
            data = {"customer": {"country": country}}
            publish("ticket.sold", data, source="/test", **attributes)


def owed() -> list[tuple[str, str]]:
    """Subscriber and country of each delivery, in their order."""
    rows = Delivery.objects.select_related("event", "subscriber").order_by("pk")
    return [
        (row.subscriber.name, row.event.data["customer"]["country"]) for row in rows
    ]


def statements() -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        route_batch()
    return [query["sql"] for query in captured]


def test_a_filter_over_data_chooses() -> None:
    puller("austria", OVER_DATA)
    puller("all", None)

    sell("AT", "DE", "AT")
    route_batch()

    everything = [("all", "AT"), ("all", "DE"), ("all", "AT")]
    assert sorted(owed()) == sorted([*everything, ("austria", "AT"), ("austria", "AT")])
    assert not FailedTask.objects.exists()


def test_data_is_read_by_one_statement_and_for_filters_over_data_alone() -> None:
    puller("austria", OVER_DATA)
    for _ in range(LEARNING):
        sell("AT")
        route_batch()

    counts = []
    for count in (1, 50):
        sell(*["AT"] * count)
        issued = statements()
        counts.append(len(issued))
        assert len([sql for sql in issued if '"data"' in sql]) == 1
    assert counts[0] == counts[1]
    publish("parcel.lost", {}, source="/test")
    assert not [sql for sql in statements() if '"data"' in sql]


def test_other_filters_read_no_data() -> None:
    puller("vip", BY_SQL)
    sell("AT", subject="vip-7")

    assert not [sql for sql in statements() if '"data"' in sql]
    assert owed() == [("vip", "AT")]


def test_much_data_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "MAX_DATA_BYTES", 100)
    puller("austria", OVER_DATA)

    sell(*["AT", "DE"] * 10)
    route_batch()

    assert owed() == [("austria", "AT")] * 10


@pytest.mark.parametrize(
    ("attributes", "is_owed"),
    [
        ({"extensions": {"region": "DE"}}, True),
        ({"extensions": {"region": "FR"}}, False),
        ({"subject": "vip-7"}, True),
        # SQL that lacks an attribute is an error: the event does not pass.
        ({}, False),
    ],
)
def test_sql_chooses_by_attributes_and_an_error_of_it_is_no_failure(
    attributes: dict[str, Any], is_owed: bool
) -> None:
    puller("near", BY_SQL)
    puller("north", {"sql": "region = 'N'"})

    sell("AT", **attributes)
    route_batch()

    assert owed() == ([("near", "AT")] if is_owed else [])
    assert not FailedTask.objects.exists()


def test_a_handler_has_the_filter_that_its_code_declares() -> None:
    heard: list[Event] = []
    with isolated_subscribers():
        subscriber("near", events=["ticket.*"], filter=BY_SQL)(heard.append)
        register_declared()
        sell("AT", subject="vip-7")
        sell("DE", subject="order-7")
        deliver_due()
        assert [event.subject for event in heard] == ["vip-7"]

        # The next release has no filter any more.
        with isolated():
            subscriber("near", events=["ticket.*"])(heard.append)
            register_declared()
            sell("FR")
            deliver_due()
    assert len(heard) == 2
