"""No hot query reads the whole log: on PostgreSQL, with a table worth an index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from router.flow.deliver.claiming import claim, claims
from router.flow.deliver.settling import acknowledge
from router.flow.dispatch.chunk import Chunk
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.order import release_next, release_stuck
from router.flow.pull import settling
from router.flow.route.batch import has_unrouted
from router.flow.route.routing import route_batch
from router.flow.sweep import sweep
from router.models import ApiKey, Delivery, EventRecord, Subscriber
from router.observe.overview import subscribers_overview
from router.public import publish, subscriber
from router.testing import isolated_subscribers, register_declared
from tests.contract.steps import ack, extend, leases, let_leases_run_out, say, take
from tests.integration.rows import undone

SETTLED = 20_000
FILL_LOG = """
    INSERT INTO router_eventrecord (
        position, event_id, source, type, subject, time, dataschema, partitionkey,
        traceparent, extensions, data, digest, size_bytes, causation_depth)
    SELECT n, n::text, '/old', 'thing.happened', '', now(), '', '', '', '{}', '{}', '',
        2, 0 FROM generate_series(1, %s) AS n"""
FILL_DELIVERIES = """
    INSERT INTO router_delivery (
        event_id, subscriber_id, run, origin, ordering_key, state, due_at, created_at,
        acknowledged_at, dispatch_count, attempts, failures, vanished, is_manual)
    SELECT number, %s, 0, 'live', '', 'ACKNOWLEDGED', now(), now(), now(), 0, 1, 0, 0,
        false FROM router_eventrecord"""
FILL_ATTEMPTS = """
    INSERT INTO router_attempt (
        delivery_id, number, trigger, result, error, traceback, ended_at)
    SELECT id, 1, 'SCHEDULED', 'ACKNOWLEDGED', '', '', now() FROM router_delivery"""


@pytest.fixture
def long_log(db: None) -> Iterator[Subscriber]:
    """Thousands of settled deliveries, and one event that is just published."""
    with isolated_subscribers():
        by_row = subscriber(
            "listener", events=["thing.happened"], is_safe_concurrently=True
        )
        by_row(lambda event: None)
        register_declared()
        row = Subscriber.objects.get()
        with connection.cursor() as cursor:
            # What neighbours deleted leaves pages that make an index dearer.
            cursor.execute("TRUNCATE router_eventrecord CASCADE")
            cursor.execute(FILL_LOG, [SETTLED])
            cursor.execute(FILL_DELIVERIES, [row.pk])
            cursor.execute("UPDATE router_head SET position = %s", [SETTLED])
            cursor.execute("ANALYZE")
        publish("thing.happened", {})
        yield row


def look_for_work(row: Subscriber) -> None:
    assert has_unrouted(after=SETTLED - 100)
    assert has_unrouted()
    assert not Delivery.objects.filter(subscriber=row).in_flight().exists()
    assert subscribers_due() == []
    assert sweep() == 0


def route_and_dispatch(row: Subscriber) -> Chunk:
    assert route_batch().delivery_count == 1
    assert subscribers_due() == [row]
    chunk = mark_chunk(row)
    assert chunk is not None
    return chunk


def deliver_and_settle(row: Subscriber) -> None:
    chunk = route_and_dispatch(row)
    claimed = claim(row.pk, chunk.ids)
    assert claimed is not None
    with transaction.atomic():
        acknowledge(claimed, run_ms={})


def lose_and_sweep(row: Subscriber) -> None:
    """Leases that ran out, beside the whole log."""
    chunk = route_and_dispatch(row)
    assert claim(row.pk, chunk.ids) is not None
    leased = Delivery.objects.filter(pk__in=chunk.ids)
    leased.update(leased_until=F("created_at") - timedelta(days=1))
    assert sweep() == 1


def dispatch_a_webhook(row: Subscriber) -> None:
    Subscriber.objects.update(transport="webhook", rate_per_second=10)
    route_batch()
    (webhook,) = subscribers_due()
    chunk = mark_chunk(webhook)
    assert chunk is not None
    assert claim(row.pk, chunk.ids) is not None


def pull_and_settle(row: Subscriber) -> None:
    """Nothing due, one taken and lost, and one that is held to its end."""
    Subscriber.objects.update(transport="pull")
    assert take(row) == ()
    route_batch()
    assert len(take(row)) == 1
    let_leases_run_out()
    (second,) = take(row)
    assert extend(leases([second], 60)) == [True]
    assert say(settling.nack, leases([second], 0)) == [True]
    assert ack(take(row)) == [True]


def deliver_in_order(row: Subscriber) -> None:
    """Three events of one key: two that travel together, and one that is lost."""
    Subscriber.objects.update(transport="amqp", ordering="key", in_flight_limit=2)
    for _ in range(3):
        publish("thing.happened", {}, partitionkey="key")
    assert route_batch().delivery_count == 4
    for count in (2, 2):
        (bus,) = subscribers_due()
        chunk = mark_chunk(bus)
        assert chunk is not None
        (claimed,) = claims(row.pk, chunk.ids)
        assert len(claimed.deliveries) == count
        if count > 1 and not Delivery.objects.held().exists():
            let_leases_run_out()
            assert sweep() == count
            return
        with transaction.atomic():
            acknowledge(claimed, run_ms={})
        assert release_stuck() == 0


HOT: dict[str, Callable[[Subscriber], object]] = {
    "look for work": look_for_work,
    "pull and settle": pull_and_settle,
    "route, dispatch, claim and settle": deliver_and_settle,
    "webhook": dispatch_a_webhook,
    "order": deliver_in_order,
    "sweep": lose_and_sweep,
    "overview": lambda row: subscribers_overview(),
    "log": lambda row: read_log(),
    "log by type": lambda row: read_log(type="thing.happened"),
    "log by rare type": lambda row: read_log(type="thing.missed"),
    "log by source": lambda row: read_log(source="/elsewhere"),
    "log by subject": lambda row: read_log(subject="nobody"),
    "log by source and subject": lambda row: read_log(subject="nobody", source="/old"),
    "log since": lambda row: read_log(since="2100-01-01T00:00:00Z"),
    "log until": (
        lambda row: read_log(until="2000-01-01T00:00:00Z", type="thing.happened")
    ),
    "event": lambda row: read_event(),
    "log of a bound key": lambda row: read_log_of_bound_key(row, {}),
    "log of a bound key with a filter": (
        lambda row: read_log_of_bound_key(row, {"filter": {"suffix": {"id": "7"}}})
    ),
    "log of a bound key that hears nothing": (
        lambda row: read_log_of_bound_key(row, {"allowed_sources": ["/elsewhere/*"]})
    ),
}


def test_a_hot_query_uses_an_index(long_log: Subscriber) -> None:
    for name, work in HOT.items():
        with undone():
            assert_uses_indexes(long_log, work, name)


@pytest.mark.parametrize("due_at", ["now()", "now() + interval '1 hour'"])
def test_whoever_has_very_much_open_is_found_by_an_index(
    long_log: Subscriber, due_at: str
) -> None:
    """Due, or waiting for another attempt."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE router_delivery SET acknowledged_at = NULL, state = 'PENDING', "
            f"due_at = {due_at}"
        )
        cursor.execute("ANALYZE router_delivery")

    plans = assert_uses_indexes(long_log, lambda row: subscribers_due())
    conditions = [line for line in plans.splitlines() if "Index Cond" in line]
    assert any("due_at <= " in line for line in conditions), plans


@pytest.mark.parametrize("key_count", [1, 50, 10_000])
def test_very_many_held_events_cost_what_few_do(
    long_log: Subscriber, key_count: int
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE router_delivery SET acknowledged_at = NULL, state = 'PENDING', "
            "ordering_key = 'key-' || id %% %s, due_at = CASE WHEN id < %s + (SELECT "
            "min(id) FROM router_delivery) THEN now() END",
            [key_count, key_count],
        )
        cursor.execute("ANALYZE router_delivery")

    plans = assert_uses_indexes(long_log, deliver_hot)

    assert "delivery_in_line" in plans


def test_a_key_without_more_events_is_closed_beside_one_with_very_many(
    long_log: Subscriber,
) -> None:
    with connection.cursor() as cursor:
        # All that the planner knows is the one key.
        cursor.execute(
            "UPDATE router_delivery SET acknowledged_at = NULL, state = 'PENDING', "
            "ordering_key = 'hot', due_at = CASE WHEN id = (SELECT min(id) FROM "
            "router_delivery) THEN now() END"
        )
        cursor.execute("ANALYZE router_delivery")

    plans = assert_uses_indexes(long_log, lambda row: release_next([1]))

    assert "delivery_in_line" in plans
    assert "delivery_pending" not in plans


def test_before_the_table_is_analysed_the_next_of_a_key_is_released_by_itself(
    long_log: Subscriber,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE router_delivery CASCADE")
        cursor.execute(
            "DELETE FROM pg_statistic WHERE starelid = 'router_delivery'::regclass"
        )
        cursor.execute(f"{FILL_DELIVERIES} LIMIT 1000", [long_log.pk])
        cursor.execute(
            "UPDATE router_delivery SET ordering_key = 'hot', acknowledged_at = NULL, "
            "state = 'PENDING', due_at = NULL"
        )
    closed = Delivery.objects.order_by("pk")[0]
    Delivery.objects.filter(pk=closed.pk).update(state="ACKNOWLEDGED")

    with CaptureQueriesContext(connection) as captured:
        assert release_next([closed.pk]) == 1

    for query in captured:
        for node in nodes_of(query["sql"]):
            assert node["Actual Rows"] * node["Actual Loops"] < 10, query["sql"]


def deliver_hot(row: Subscriber) -> None:
    Subscriber.objects.update(transport="amqp", ordering="key", in_flight_limit=100)
    publish("thing.happened", {}, partitionkey="key-7")
    route_batch()
    (bus,) = subscribers_due()
    chunk = mark_chunk(bus)
    assert chunk is not None
    (claimed,) = claims(row.pk, chunk.ids)
    assert len(claimed.deliveries) == 100
    with transaction.atomic():
        acknowledge(claimed, run_ms={})
    assert release_stuck() == 0


def assert_uses_indexes(
    row: Subscriber, work: Callable[[Subscriber], object], name: str = ""
) -> str:
    """Returns the plans."""
    with CaptureQueriesContext(connection) as captured:
        work(row)

    issued = [sql for query in captured for sql in query["sql"].split("; ")]
    plans = [plan(sql) for sql in issued if is_read(sql)]
    assert plans, name
    for indexed in plans:
        assert "Seq Scan on router_delivery" not in indexed, f"{name}: {indexed}"
        assert "Seq Scan on router_eventrecord" not in indexed, f"{name}: {indexed}"
    return "\n".join(plans)


def read_log(**query: str) -> None:
    _, text = ApiKey.make("reader", scopes=["manage"])
    bearer = {"Authorization": f"Bearer {text}"}
    answer = Client().get("/api/events/", query, headers=bearer)
    assert answer.status_code == 200, answer.content


def read_log_of_bound_key(row: Subscriber, fields: dict[str, Any]) -> None:
    Subscriber.objects.filter(pk=row.pk).update(events=["thing.*"], **fields)
    bound = {"types": ["thing.*"], "sources": ["/o*"], "subscribers": ["listener"]}
    _, text = ApiKey.make("bound", scopes=["manage"], **bound)
    bearer = {"Authorization": f"Bearer {text}"}
    answer = Client().get("/api/events/", headers=bearer)
    assert bool(answer.json()["results"]) == ("allowed_sources" not in fields)


def read_event() -> None:
    _, text = ApiKey.make("reader", scopes=["manage"])
    number = EventRecord.objects.latest("number").number - 100
    bearer = {"Authorization": f"Bearer {text}"}
    answer = Client().get(f"/api/events/{number}/", headers=bearer)
    assert len(answer.json()["deliveries"]) == 1


def is_read(sql: str) -> bool:
    return sql.lstrip().startswith(("SELECT", "UPDATE", "WITH"))


def plan(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(line for (line,) in cursor.fetchall())


def nodes_of(sql: str) -> Iterator[dict[str, Any]]:
    """Each step of the plan, as it ran: once more, and rolled back."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        [[[explained]]] = cursor.fetchall()
        transaction.set_rollback(True)
    left = [explained["Plan"]]
    while left:
        left += left[0].get("Plans", [])
        yield left.pop(0)
