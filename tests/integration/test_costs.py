"""Costs that must not grow: statements for a chunk, an event, a batch."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from router.flow.cursor import runs_in_stream
from router.flow.deliver.claiming import claims
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.settling import acknowledge
from router.flow.deliver.stream import serve
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.dispatch.ring import Wanted, mark_rung
from router.flow.order import release_stuck
from router.flow.route.routing import route_batch
from router.models import Acknowledgement, Delivery, Subscriber, Turn
from router.public import publish, subscriber
from router.testing import isolated_subscribers, register_declared
from tests.contract.keyed_router import subscribe

TYPE = "thing.happened"
FEW, TEN, MANY = 1, 10, 100
#: So often a cost is paid until it is what it stays.
LEARNING = 3
#: As it is known after some work: a chunk may then be as large as the limit.
KNOWN_RUN_MS = 0.1

Work = Callable[[], object]


def listen(count: int = 1, *, events: str = TYPE, **options: Any) -> None:
    for n in range(count):
        name = f"{events.replace('.', '_')}_{n}"
        subscriber(name, events=[events], **options)(lambda event: None)
    register_declared()
    Subscriber.objects.update(mean_run_ms=KNOWN_RUN_MS)


def happen(count: int) -> None:
    with transaction.atomic():
        for n in range(count):
            publish(TYPE, {"n": n})


def statements(work: Work) -> list[str]:
    """The words that each statement begins with."""
    with CaptureQueriesContext(connection) as captured:
        work()
    issued = [" ".join(query["sql"].split()[:3]) for query in captured]
    # Django counts its savepoints on and on.
    return [re.sub(r"SAVEPOINT .*", "SAVEPOINT", words) for words in issued]


def delivered_in_one_chunk(count: int) -> list[str]:
    """The statements of a worker for a message with so many deliveries."""
    happen(count)
    assert route_batch().delivery_count == count
    row = Subscriber.objects.get()
    chunk = mark_chunk(row)
    assert chunk is not None
    assert len(chunk.ids) == count
    issued = statements(lambda: deliver_chunk(row.pk, chunk.ids))
    assert not Delivery.objects.open().exists()
    return issued


def dispatched_in_one_chunk(count: int) -> list[str]:
    """The statements of a dispatcher for the same."""
    happen(count)
    route_batch()
    row = Subscriber.objects.get()
    issued = statements(lambda: subscribers_due())
    issued += statements(lambda: mark_chunk(row))
    marked = Delivery.objects.filter(dispatched_until__isnull=False)
    assert marked.update(state="ACKNOWLEDGED", dispatched_until=None) == count
    return issued


def routed_in_one_batch(count: int) -> list[str]:
    happen(count)
    issued = statements(lambda: route_batch())
    assert Delivery.objects.count() % count == 0
    Delivery.objects.all().delete()
    return issued


@pytest.mark.parametrize(
    "cost",
    [delivered_in_one_chunk, dispatched_in_one_chunk, routed_in_one_batch],
    ids=["deliver a chunk", "dispatch a chunk", "route a batch"],
)
def test_statements_do_not_grow_with_the_deliveries(
    transactional_db: None, cost: Callable[[int], list[str]]
) -> None:
    with isolated_subscribers():
        listen(is_safe_concurrently=True)
        few, many = learnt(cost)

    assert few
    assert many == few


def learnt(cost: Callable[[int], list[str]]) -> tuple[list[str], list[str]]:
    """Of few and of many, as it stays."""
    # Statements are built once, and their plans kept when they came often enough.
    for _ in range(LEARNING):
        cost(FEW), cost(MANY)
    return cost(FEW), cost(MANY)


def rung_for(count: int) -> list[str]:
    """The statements that route so many events, and ring for all who want them."""
    happen(count)
    issued = statements(lambda: route_batch(has_room=lambda _: True))
    assert Turn.objects.filter(marked_until__isnull=False).exists()
    Turn.objects.update(marked_until=None)
    return issued


def served_in_one_chunk(count: int) -> list[str]:
    """The statements of a worker for a chunk of so many events."""
    happen(count)
    route_batch()
    row = Subscriber.objects.get()
    Subscriber.objects.update(mean_run_ms=KNOWN_RUN_MS)
    before = Acknowledgement.objects.count()
    # A process asks once a second which runs there are.
    runs_in_stream.look_again()
    issued = statements(lambda: serve(row.pk))
    assert not Delivery.objects.exists()
    assert Acknowledgement.objects.count() == before + 1
    assert Acknowledgement.objects.latest("pk").count == count
    return issued


def looked_for(count: int) -> list[str]:
    """The statements of a dispatcher that rings for what so many events are owed."""
    happen(count)
    route_batch()
    wanted = Wanted()
    wanted.due()
    issued = statements(lambda: mark_rung(wanted.due()))
    assert Turn.objects.filter(marked_until__isnull=False).exists()
    Turn.objects.update(marked_until=None)
    return issued


@pytest.mark.parametrize(
    "cost",
    [served_in_one_chunk, rung_for, looked_for],
    ids=["serve a chunk", "route a batch", "ring"],
)
def test_statements_do_not_grow_with_the_events_of_the_stream(
    transactional_db: None, cost: Callable[[int], list[str]]
) -> None:
    with isolated_subscribers():
        listen()
        few, many = learnt(cost)

    assert few
    assert many == few


def test_those_in_the_stream_that_want_nothing_cost_routing_and_ringing_nothing(
    transactional_db: None,
) -> None:
    issued = []
    for uninterested in (1, 1, 50):
        with isolated_subscribers():
            listen(5)
            listen(uninterested, events="other.happened")
            issued.append([*rung_for(FEW), *looked_for(FEW)])
            happen(FEW)
            assert len(route_batch().wanted) == 5

    assert issued[1] == issued[2]


@pytest.mark.parametrize("count", [FEW, MANY])
def test_an_event_is_one_insert_whatever_the_number_of_subscribers(
    transactional_db: None, count: int
) -> None:
    with isolated_subscribers():
        listen(count)
        # The schemas of types are looked up now and then, not at each event.
        publish(TYPE, {})
        with transaction.atomic():
            issued = statements(lambda: publish(TYPE, {}))

    assert issued == ['INSERT INTO "router_eventrecord"']


def in_order(count: int) -> list[str]:
    """The statements of the whole way of so many events of three keys, in one chunk."""
    with transaction.atomic():
        for n in range(count):
            publish(TYPE, {"n": n}, partitionkey=f"key-{n % 3}")
    taken: list[Any] = []

    def go() -> None:
        route_batch()
        (row,) = subscribers_due()
        chunk = mark_chunk(row)
        assert chunk is not None
        taken.extend(claims(row.pk, chunk.ids))
        with transaction.atomic():
            acknowledge(taken[0], run_ms={})
        assert release_stuck() == 0

    issued = statements(go)
    assert [len(claimed.deliveries) for claimed in taken] == [count]
    return issued


def test_the_statements_of_an_order_do_not_grow(transactional_db: None) -> None:
    with isolated_subscribers():
        subscribe()
        for _ in range(LEARNING):
            in_order(TEN), in_order(MANY)
        few, many = in_order(TEN), in_order(MANY)

    assert many == few


@pytest.mark.parametrize("is_safe_concurrently", [False, True])
def test_routing_costs_the_same_statements_for_many_subscribers(
    transactional_db: None, is_safe_concurrently: bool
) -> None:
    issued = []
    for count in (FEW, FEW, MANY):
        with isolated_subscribers():
            listen(count, is_safe_concurrently=is_safe_concurrently)
            issued.append(routed_in_one_batch(FEW))

    assert issued[1] == issued[2]
