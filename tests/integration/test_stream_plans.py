"""What the stream asks of a log of a million events: by which plans, and how much of it
is read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from router.db.plan_cache import SETTINGS
from router.flow.cursor.reading import SPAN
from router.flow.deliver import stream
from router.flow.deliver.stream import serve
from router.flow.dispatch.ring import Wanted, mark_rung
from router.flow.route.routing import route_batch
from router.flow.sweep import sweep_turns
from router.models import Cursor, LogHead, Subscriber, Turn
from router.public import publish, subscriber
from router.testing import isolated_subscribers, register_declared
from tests.integration.steps import position_of
from tests.integration.test_query_plans import FILL_LOG, is_read, nodes_of

#: `EVENTS=10000000` in the environment makes the log longer.
EVENTS = int(os.environ.get("EVENTS", "1000000"))
BEHIND = EVENTS // 2
COMMON, RARE = "thing.happened", "thing.rare"
TABLES = "router_eventrecord", "router_delivery", "router_cursor", "router_turn"
#: Of one subscriber by rows, and of the one in the stream what was set aside.
FILL_DELIVERIES = """
    INSERT INTO router_delivery (
        event_id, subscriber_id, run, origin, ordering_key, state, due_at, created_at,
        acknowledged_at, dispatch_count, attempts, failures, vanished, is_manual)
    SELECT number, %s, 0, 'live', '', 'ACKNOWLEDGED', now(), now(), now(), 0, 1, 0, 0,
        false FROM router_eventrecord WHERE position %% %s = 0"""
BY_POSITION = re.compile(r"Index Cond: \(\(\"?position\"? > .*\"?position\"? <= ")
#: One after the other, until there are enough: not all of a span, and then sorted.
IN_ORDER = re.compile(r"Index Scan using router_eventrecord_position_key")


@pytest.fixture
def long_log(own_connection: None) -> Iterator[None]:
    """Half of a million events are above the cursor of `busy`; `seldom` has none."""
    connection.ensure_connection()
    connection.connection.prepare_threshold = 0
    with isolated_subscribers():
        subscriber("busy", events=[COMMON])(lambda event: None)
        subscriber("seldom", events=[RARE])(lambda event: None)
        by_row = subscriber("by_row", events=[COMMON], is_safe_concurrently=True)
        by_row(lambda event: None)
        register_declared()
        fill_log()
        yield
        do("TRUNCATE router_eventrecord, router_delivery CASCADE")


def do(sql: str, parameters: Any = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def start_anew() -> None:
    """Tables of which the planner knows nothing: what it learned of other tests' rows
    would decide for this one."""
    do("TRUNCATE router_eventrecord, router_delivery, router_acknowledgement CASCADE")
    tables = ", ".join(f"'{name}'::regclass" for name in TABLES)
    do(f"DELETE FROM pg_statistic WHERE starelid IN ({tables})")


def fill_log() -> None:
    """So fast that nobody has looked at the tables since."""
    do("SET statement_timeout = '10min'")
    start_anew()
    do(FILL_LOG, [EVENTS])
    for name, every in (("by_row", 3), ("busy", 1000)):
        do(FILL_DELIVERIES, [Subscriber.objects.get(name=name).pk, every])
    LogHead.objects.update(position=EVENTS)
    Subscriber.objects.update(mean_run_ms=0.1)
    Cursor.objects.update(position=BEHIND)


def served(name: str) -> None:
    row = Subscriber.objects.get(name=name)
    before = position_of(row)
    serve(row.pk)
    assert position_of(row) > before


def routed_and_rung() -> None:
    publish(COMMON, {})
    assert len(route_batch(has_room=lambda _: True).chunks) == 1
    Turn.objects.update(marked_until=None)


def looked_and_rung() -> None:
    assert mark_rung(Wanted().due())
    Turn.objects.update(marked_until=None)


def swept() -> None:
    assert sweep_turns() == 0


HOT: list[Callable[[], None]] = [
    lambda: served("busy"),
    lambda: served("seldom"),
    routed_and_rung,
    looked_and_rung,
    swept,
]


@pytest.mark.timeout(900)
def test_the_stream_reads_its_log_by_index_whatever_the_planner_knows(
    long_log: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One chunk for each time.
    monkeypatch.setattr(stream, "SERVE_SECONDS", -1.0)
    for is_analysed in (False, True):
        if is_analysed:
            do(f"ANALYZE {', '.join(TABLES)}")
        issued = list(hot_statements(HOT))
        claims = [sql for sql in issued if "here AS MATERIALIZED" in sql]
        assert len(claims) == 2
        assert kept("here AS MATERIALIZED")
        for name in kept("router_"):
            assert_by_index(explained(f"EXECUTE {name}", SETTINGS))
        for name in kept("here AS MATERIALIZED"):
            plan = explained(f"EXECUTE {name}", SETTINGS)
            assert IN_ORDER.search(plan), plan
        for sql in issued:
            for how in ({}, SETTINGS):
                assert_by_index(explained(sql, how))
        for sql in claims:
            assert_reads_a_span(sql)


def hot_statements(works: list[Callable[[], None]]) -> Iterator[str]:
    for work in works:
        with CaptureQueriesContext(connection) as captured:
            work()
        for query in captured:
            if is_read(query["sql"]) and "router_" in query["sql"]:
                yield query["sql"]


def assert_by_index(plan: str) -> None:
    for table in ("router_eventrecord", "router_delivery", "router_acknowledgement"):
        assert f"Seq Scan on {table}" not in plan, plan
    if "here AS MATERIALIZED" in plan or "CTE here" in plan:
        assert BY_POSITION.search(plan), plan
        assert "delivery_once" in plan, plan


def explained(sql: str, how: Any) -> str:
    """The plan, by these settings; a kept one has NULL for its values."""
    if sql.startswith("EXECUTE"):
        name = sql.split()[1]
        sql += arguments_of(name)
    with transaction.atomic(), connection.cursor() as cursor:
        for name, value in how.items():
            cursor.execute(f"SET LOCAL {name} = {value}")
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(line for (line,) in cursor.fetchall())


def kept(text: str) -> list[str]:
    """The names of the statements with this text whose plans the session keeps."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, statement FROM pg_prepared_statements")
        return [name for name, sql in cursor.fetchall() if text in sql]


def arguments_of(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT cardinality(parameter_types) FROM pg_prepared_statements "
            "WHERE name = %s",
            [name],
        )
        [(count,)] = cursor.fetchall()
    return f"({', '.join(['NULL'] * count)})" if count else ""


def assert_reads_a_span(sql: str) -> None:
    """By a claim, of the log as it is now."""
    Turn.objects.update(token=re.findall(r"'([0-9a-f]{32})'", sql)[0])
    for node in nodes_of(sql):
        read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        assert read * node["Actual Loops"] <= SPAN + 1, node
    Turn.objects.update(token=None)
