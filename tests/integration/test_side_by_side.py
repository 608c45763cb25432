"""Several dispatchers, publishers and workers at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from router.flow.cursor.reading import next_chunk
from router.flow.deliver.claiming import claim
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.ring import mark_rung
from router.flow.route.routing import route_batch
from router.models import Acknowledgement, Delivery, EventRecord, Subscriber
from router.public import publish
from router.testing import deliver_due
from tests.receivers import Declare

PUBLISHERS, EVENTS_EACH = 4, 40


def side_by_side(*works: Callable[[], object]) -> list[object]:
    def run(work: Callable[[], object]) -> object:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@pytest.fixture
def by_row(declare: Declare) -> Subscriber:
    """A handler that gets a delivery of each event."""
    return declare("by_row", is_safe_concurrently=True).row


@pytest.mark.usefixtures("by_row")
def test_positions_stay_gap_free_while_many_publish_and_two_route() -> None:
    def publish_some() -> None:
        for n in range(EVENTS_EACH):
            with transaction.atomic():
                publish("thing.happened", {"n": n})

    def route_until_all() -> None:
        while EventRecord.objects.filter(position__isnull=False).count() < total:
            route_batch()

    total = PUBLISHERS * EVENTS_EACH
    side_by_side(*[publish_some] * PUBLISHERS, route_until_all, route_until_all)

    positions = EventRecord.objects.order_by("position").values_list("position")
    assert [position for (position,) in positions] == list(range(1, total + 1))
    assert Delivery.objects.count() == total


def test_only_one_of_many_workers_gets_a_delivery(by_row: Subscriber) -> None:
    for _ in range(50):
        publish("thing.happened", {})
    route_batch()
    ids = list(Delivery.objects.order_by("pk").values_list("pk", flat=True))

    claims = side_by_side(*[lambda: claim(by_row.pk, ids)] * 4)

    claimed = [pk for claim in claims if claim for pk in claim.ids]
    assert sorted(claimed) == ids


def test_only_one_of_many_workers_gets_the_next_chunk(listener: Subscriber) -> None:
    for _ in range(50):
        publish("thing.happened", {})
    route_batch()

    chunks = side_by_side(*[lambda: next_chunk(listener.pk)] * 4)

    assert len([chunk for chunk in chunks if chunk]) == 1


def test_two_dispatchers_ring_once(listener: Subscriber) -> None:
    publish("thing.happened", {})
    route_batch()

    chunks = side_by_side(*[lambda: mark_rung([listener])] * 4)

    assert len([chunk for each in chunks for chunk in each]) == 1


def test_two_dispatchers_never_mark_the_same_delivery(by_row: Subscriber) -> None:
    for _ in range(50):
        publish("thing.happened", {})
    route_batch()

    chunks = side_by_side(*[lambda: mark_chunk(by_row)] * 4)

    marked = [pk for chunk in chunks if chunk for pk in chunk.ids]
    assert len(marked) == len(set(marked))


@pytest.mark.usefixtures("listener", "by_row")
def test_an_event_that_commits_late_is_routed_all_the_same() -> None:
    """A lower number that becomes visible after a higher one was routed."""

    def publish_elsewhere() -> None:
        publish("thing.happened", {"late": False})
        deliver_due()

    with transaction.atomic():
        publish("thing.happened", {"late": True})
        side_by_side(publish_elsewhere)
    deliver_due()

    order = EventRecord.objects.order_by("position").values_list("data", flat=True)
    assert [data["late"] for data in order] == [False, True]
    assert set(Delivery.objects.values_list("state", flat=True)) == {"ACKNOWLEDGED"}
    assert Delivery.objects.count() == 2
    assert Acknowledgement.objects.aggregate(total=Sum("count"))["total"] == 2
