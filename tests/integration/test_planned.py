"""Plans that a session keeps, against the real database."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from psycopg._queries import MAX_CACHED_STATEMENT_LENGTH

from router.db import plan_cache
from router.db.plan_cache import PLAN_SETTINGS
from router.flow.cursor.reading import _statement
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.stream import serve
from router.flow.dispatch.dispatcher import mark_chunks
from router.flow.dispatch.due import subscribers_due
from router.flow.dispatch.ring import Wanted, mark_rung
from router.flow.route.routing import route_batch
from router.models import (
    LIVE,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    Subscriber,
    Turn,
)
from router.public import publish
from tests.contract.steps import TYPE
from tests.integration.steps import dispatched, position_of, routed
from tests.integration.test_query_plans import FILL_DELIVERIES, FILL_LOG
from tests.receivers import Declare

FULL = 100_000
KEPT = """
    SELECT name, generic_plans, custom_plans FROM pg_prepared_statements
    WHERE statement LIKE '%router%'"""
#: As a pooler does it: the driver does not see it.
FORGET = "DO 'BEGIN EXECUTE ''DEALLOCATE ALL''; END'"
SETTINGS = tuple(plan_cache.SETTINGS)
UNTOUCHED = ["auto", *["on"] * (len(SETTINGS) - 1)]


@pytest.fixture
def kept(own_connection: None) -> None:
    """Every plan is kept from its first use on, and no other test's."""
    connection.ensure_connection()
    connection.connection.prepare_threshold = 0


@pytest.fixture
def declare(kept: None, declare: Declare) -> Declare:
    return declare


def asked(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def settings_of_session() -> list[str]:
    return [asked(f"SHOW {name}")[0][0] for name in SETTINGS]


def by_row(declare: Declare, **options: Any) -> Subscriber:
    """A handler that gets a delivery of each event."""
    return declare(is_safe_concurrently=True, **options).row


def deliver(row: Subscriber) -> None:
    deliver_chunk(row.pk, dispatched())
    deliver_chunk(row.pk, dispatched())


def go(row: Subscriber) -> None:
    """An event of the stream on its whole way: rung for as it is routed, or later."""
    for has_room in (True, False):
        publish(TYPE, {})
        wanted = Wanted()
        wanted.due()
        if not route_batch(has_room=lambda _, room=has_room: room).chunks:
            assert mark_rung(wanted.due())
        serve(row.pk)
    assert position_of(row) == EventRecord.objects.filter(position__gt=0).count()


def test_all_of_a_delivery_runs_by_plans_that_are_kept(declare: Declare) -> None:
    row = by_row(declare)

    deliver(row)
    deliver(row)

    assert not Delivery.objects.open().exists()
    plans = asked(KEPT)
    assert plans
    assert all(custom == 0 for _, _, custom in plans), plans


def test_all_of_a_chunk_runs_by_plans_that_are_kept(declare: Declare) -> None:
    row = declare().row

    go(row)
    go(row)

    plans = asked(KEPT)
    assert len(plans) > 5
    assert all(custom == 0 for _, _, custom in plans), plans


def test_a_publish_leaves_no_plan_that_a_pooler_could_lose(kept: None) -> None:
    """What is forgotten would cost the publisher's transaction."""
    publish(TYPE, {})
    asked_nothing(FORGET)
    with transaction.atomic():
        publish(TYPE, {})
    assert EventRecord.objects.count() == 2


@pytest.mark.parametrize("run", [LIVE, LIVE + 1])
def test_the_driver_remembers_the_text_of_a_claim(run: int) -> None:
    sql = _statement(1, uuid4(), limit=1, run=run, seconds=0.25).sql

    assert len(sql) <= MAX_CACHED_STATEMENT_LENGTH


@pytest.mark.parametrize("analysed", ["empty", "one row", "never"])
def test_a_plan_that_is_older_than_the_rows_reads_by_index(
    declare: Declare, analysed: str
) -> None:
    row = by_row(declare)
    # What other tests left, and what is known of it, would decide for this one.
    asked_nothing("TRUNCATE router_delivery CASCADE")
    asked_nothing(
        "DELETE FROM pg_statistic WHERE starelid = 'router_delivery'::regclass"
    )
    if analysed == "empty":
        asked_nothing("VACUUM ANALYZE")
    deliver(row)
    if analysed == "one row":
        asked_nothing("VACUUM ANALYZE")
        deliver(row)
    fill(row)

    plans = [plan_of(name) for name, *_ in asked(KEPT)]

    assert len(plans) > 5
    for plan in plans:
        assert "Seq Scan on router_delivery" not in plan, plan
        assert "Seq Scan on router_eventrecord" not in plan, plan
        assert "Hash Join" not in plan, plan
        assert "Merge Join" not in plan, plan
        if "Update on router_delivery" in plan:
            assert "Index Cond: (id = ANY" in plan, plan
        # It begins with the event, and finds what is a subscriber's by reading all.
        assert "delivery_once" not in plan, plan
    due = [plan for plan in plans if "due_at <= " in plan]
    assert any("Index Cond" in line and "due_at <= " in line for line in lines(due))


def lines(plans: list[str]) -> list[str]:
    return [line for plan in plans for line in plan.splitlines()]


def asked_nothing(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def fill(row: Subscriber) -> None:
    """So fast that nobody has looked at the tables since.

    Nothing is truncated: that alone would have every plan made anew.
    """
    with connection.cursor() as cursor:
        cursor.execute("UPDATE router_eventrecord SET position = -number")
        cursor.execute(FILL_LOG, [FULL])
        cursor.execute("DELETE FROM router_attempt")
        cursor.execute("DELETE FROM router_delivery")
        cursor.execute(FILL_DELIVERIES, [row.pk])


def plan_of(name: str) -> str:
    sql = "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name ="
    ((count,),) = asked(f"{sql} '{name}'")
    arguments = f"({', '.join(['NULL'] * count)})" if count else ""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PLAN_SETTINGS.sql)
        cursor.execute(f"EXPLAIN EXECUTE {name}{arguments}")
        return "\n".join(line for (line,) in cursor.fetchall())


def test_how_the_router_plans_is_nobody_elses_affair(declare: Declare) -> None:
    seen: list[list[str]] = []

    def handler(event: Any) -> None:
        seen.append(settings_of_session())
        transaction.on_commit(lambda: seen.append(settings_of_session()))

    row = by_row(declare, behave=handler)
    deliver(row)
    deliver(row)
    seen.append(settings_of_session())
    with transaction.atomic():
        deliver_chunk(row.pk, dispatched())
        subscribers_due()
        seen.append(settings_of_session())

    assert len(seen) == 12
    Subscriber.objects.all().delete()
    row = declare("in_stream", behave=handler).row
    go(row)
    with transaction.atomic():
        routed()
        serve(row.pk)
        seen.append(settings_of_session())

    assert len(seen) == 19
    assert all(session == UNTOUCHED for session in seen), seen


@pytest.mark.parametrize("is_routed", [False, True])
def test_a_session_that_forgot_its_settings_gets_them_again(
    declare: Declare, caplog: pytest.LogCaptureFixture, is_routed: bool
) -> None:
    """As behind a pooler, between any two statements."""
    row = by_row(declare)
    deliver(row)

    if is_routed:
        ids = dispatched()
    asked_nothing(FORGET)
    if not is_routed:
        ids = dispatched()
    deliver_chunk(row.pk, ids)

    assert Delivery.objects.get(pk=ids[0]).state == DeliveryState.ACKNOWLEDGED
    assert "forgot a prepared statement" in caplog.text
    deliver(row)
    assert not Delivery.objects.open().exists()
    assert asked(KEPT) == []


@pytest.mark.parametrize("is_routed", [False, True])
def test_a_session_that_forgot_serves_the_stream(
    declare: Declare, caplog: pytest.LogCaptureFixture, is_routed: bool
) -> None:
    row = declare().row
    go(row)

    if is_routed:
        routed()
    asked_nothing(FORGET)
    if not is_routed:
        routed()
    serve(row.pk)

    assert position_of(row) == 3
    assert "forgot a prepared statement" in caplog.text
    go(row)
    assert asked(KEPT) == []


def test_forgetting_before_a_chunk_is_settled_is_no_failure(declare: Declare) -> None:
    runs: list[str] = []

    def handler(event: Any) -> None:
        runs.append(event.id)
        if len(runs) == 3:
            asked_nothing(FORGET)

    row = declare(behave=handler).row
    go(row)
    routed()
    serve(row.pk)

    assert not Delivery.objects.exists()
    Turn.objects.update(marked_until=None)
    serve(row.pk)
    assert position_of(row) == 3
    assert runs[2] == runs[3]


def test_forgetting_before_the_acknowledgement_is_no_failure(declare: Declare) -> None:
    runs: list[str] = []

    def handler(event: Any) -> None:
        runs.append(event.id)
        if len(runs) == 3:
            asked_nothing(FORGET)

    row = by_row(declare, behave=handler)
    deliver(row)
    ids = dispatched()
    deliver_chunk(row.pk, ids)

    delivery = Delivery.objects.get(pk=ids[0])
    assert (delivery.state, delivery.failures) == (DeliveryState.PENDING, 0)
    Delivery.objects.update(due_at="2000-01-01T00:00:00Z", dispatched_until=None)
    (chunk,) = mark_chunks(subscribers_due())
    deliver_chunk(row.pk, chunk.ids)
    assert Delivery.objects.get(pk=ids[0]).state == DeliveryState.ACKNOWLEDGED
    assert runs[2] == runs[3]
    assert not FailedTask.objects.exists()


@pytest.mark.parametrize("reason", ["no threshold", "a pooler"])
def test_none_is_kept_unless_the_project_asks_for_it(
    declare: Declare, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason == "a pooler":
        key = "DISABLE_SERVER_SIDE_CURSORS"
        monkeypatch.setitem(connection.settings_dict, key, True)
    else:
        connection.connection.prepare_threshold = None
    row = declare().row

    go(row)
    go(row)
    Subscriber.objects.all().delete()
    row = by_row(declare)
    deliver(row)
    deliver(row)

    assert asked(KEPT) == []
    assert not Delivery.objects.open().exists()


def test_a_project_need_not_speak_of_poolers(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "DISABLE_SERVER_SIDE_CURSORS"
    monkeypatch.delitem(connection.settings_dict, key, raising=False)
    row = by_row(declare)

    deliver(row)

    assert asked(KEPT)
    assert not Delivery.objects.open().exists()


def test_a_plan_is_kept_once_a_statement_came_often_enough(declare: Declare) -> None:
    connection.connection.prepare_threshold = 2
    row = declare().row

    counts = []
    for _ in range(3):
        routed()
        serve(row.pk)
        counts.append(len(asked(KEPT)))

    assert counts[:2] == [0, 0]
    assert counts[2] > 5
