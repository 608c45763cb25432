"""What is asked again and again costs the same beside a long history.

Beside 100,000 settled deliveries and 500 subscribers that were deleted, each periodic
query finds its rows by an index and reads a bounded number of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from router.flow import rollup
from router.flow.cancel import cancel_owed_to_deleted
from router.flow.dispatch.due import subscribers_due
from router.flow.heartbeats import alive, beat, delete_stale
from router.flow.prune import Walk
from router.flow.pull.leasing import pull
from router.flow.rollup import MARK, Rollups
from router.flow.route.batch import has_unrouted
from router.flow.route.head import HEAD
from router.flow.route.low_water import LowWater
from router.flow.route.routing import route_batch
from router.flow.sweep import sweep
from router.management.screens.tail import Tail
from router.models import (
    ApiKey,
    Cursor,
    Heartbeat,
    LogHead,
    Period,
    RollupMark,
    Subscriber,
)
from router.observe.alerts.judging import judge_alerts
from router.observe.backlog_samples import sample_backlog
from router.observe.health import readiness
from router.observe.overview import (
    acknowledged_last_minute,
    open_failed_count,
    subscribers_overview,
    unrouted_count,
)
from router.observe.progress import progress_of
from router.observe.series import Window, acknowledged_by_minute, series
from router.observe.signs import signs_of_life
from router.operate.api_keys import count_call
from router.public import publish
from router.testing import isolated_subscribers
from tests.integration.rows import a_subscriber

DELETED, HISTORY = 500, 100_000
NUMBERS = """
    WITH RECURSIVE numbers (n) AS (
        SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"""
FILL = (
    """INSERT INTO router_eventrecord (
        number, position, event_id, source, type, subject, time, dataschema,
        partitionkey, traceparent, extensions, data, digest, size_bytes,
        causation_depth, recorded_at)
    {numbers} SELECT n, n, n, '/old', 'thing.happened', n, '2026-01-01 00:00:00',
        '', '', '', '{{}}', '{{}}', '', 2, 0, '2026-01-01 00:00:00' FROM numbers""",
    """INSERT INTO router_delivery (
        id, event_id, subscriber_id, run, origin, ordering_key, state, due_at,
        created_at, dispatch_count, attempts, failures, vanished, is_manual)
    {numbers} SELECT n, n, {first} + n % {deleted}, 0, 'live', '', 'ACKNOWLEDGED',
        '2026-01-01 00:00:00', '2026-01-01 00:00:00', 0, 1, 0, 0, false FROM numbers""",
    """INSERT INTO router_attempt (
        id, delivery_id, number, trigger, result, error, traceback, answer, ended_at)
    {numbers} SELECT n, n, 1, 'SCHEDULED', 'ACKNOWLEDGED', '', '', '',
        '2026-01-01 00:00:00' FROM numbers""",
    """INSERT INTO router_acknowledgement (
        cursor_id, first, last, count, acknowledged_at, worker)
    {numbers} SELECT {cursor}, n, n, 1, '2026-01-01 00:00:00', '' FROM numbers""",
)
NEXT_NUMBER = (
    "SELECT setval(pg_get_serial_sequence('router_eventrecord', 'number'), %s)"
)
#: Their rows are history.
TABLES = (
    "router_eventrecord",
    "router_delivery",
    "router_attempt",
    "router_acknowledgement",
)
MAX_BLOCKS = 400
#: Instructions of SQLite's machine: reading each row of one table takes more.
MAX_STEPS, STEPS_EACH = 150_000, 1000
READING = ("SELECT", "UPDATE", "DELETE", "WITH")
#: These read as much of the log's end as they say, and no more.
CAPPED = {"status: rates"}


@pytest.fixture
def no_dead_rows(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Rows that an earlier test rolled back would be read as blocks of history."""
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(f"VACUUM {', '.join(TABLES)}")


@pytest.fixture
def pulling(no_dead_rows: None, db: None) -> Iterator[Subscriber]:
    """One of three subscribers that are left beside all that is over."""
    with isolated_subscribers():
        for transport in ("handler", "webhook", "pull"):
            a_subscriber(
                transport, transport=transport, is_streamed=transport == "handler"
            )
        streamed = Subscriber.objects.get(name="handler")
        Period.objects.create(subscriber=streamed, events=["thing.*"])
        cursor_of_handler = Cursor.objects.create(
            subscriber=streamed, start=0, position=HISTORY
        )
        gone = [
            a_subscriber(f"gone-{number}", deleted_at=timezone.now())
            for number in range(DELETED)
        ]
        values = {
            "first": gone[0].pk,
            "deleted": DELETED,
            "cursor": cursor_of_handler.pk,
        }
        with connection.cursor() as cursor:
            for statement in FILL:
                numbers = NUMBERS.format(count=HISTORY)
                cursor.execute(statement.format(numbers=numbers, **values))
            if connection.vendor == "postgresql":
                cursor.execute(NEXT_NUMBER, [HISTORY])
            LogHead.objects.update_or_create(pk=HEAD, defaults={"position": HISTORY})
            counted = dict.fromkeys(rollup.LOGS, HISTORY)
            RollupMark.objects.update_or_create(pk=MARK, defaults=counted)
            cursor.execute("ANALYZE")
        yield Subscriber.objects.get(name="pull")


def periodic_queries(pulling: Subscriber) -> dict[str, Callable[[], object]]:
    """Whatever a process asks in every turn, every second, or at every look."""
    ApiKey.objects.create(name="key", digest="digest")
    tail = Tail()
    tail.last(20)
    return {
        "dispatcher: look": lambda: has_unrouted(after=HISTORY - 100),
        "dispatcher: full look": has_unrouted,
        "dispatcher: low water": lambda: LowWater().start(),
        "dispatcher: due": subscribers_due,
        "dispatcher: sweep": sweep,
        "dispatcher: deleted, for the first time": cancel_owed_to_deleted,
        "dispatcher: deleted": cancel_owed_to_deleted,
        "dispatcher: heartbeat": lambda: beat("one", Heartbeat.Kind.DISPATCHER),
        "dispatcher: workers": alive,
        "dispatcher: stale heartbeats": delete_stale,
        "dispatcher: prune, nothing is old": lambda: Walk(30_000).step(),
        "dispatcher: prune": lambda: Walk(1).step(),
        "dispatcher: count, nothing is new": lambda: Rollups().step(),
        "dispatcher: count": lambda: count_last(20),
        "dispatcher: route": lambda: publish("thing.happened", {}) and route_batch(),
        "puller: look": lambda: pull(pulling.pk, most=10, lease_seconds=30),
        "web: API key": lambda: count_call("digest"),
        "web: readyz": readiness,
        "web: dashboard": subscribers_overview,
        "web: dashboard, an hour": lambda: series(Window.HOUR, now=timezone.now()),
        "web: dashboard, sparklines": lambda: acknowledged_by_minute(timezone.now()),
        "dispatcher: sample the backlog": sample_backlog,
        "dispatcher: judge alerts": lambda: judge_alerts(subscribers_overview()),
        "web: dashboard, unrouted": unrouted_count,
        "web: dashboard, failed": open_failed_count,
        "web: dashboard, signs of life": signs_of_life,
        "web: progress": lambda: progress_of(
            source="/old", subject="77", with_errors=True
        ),
        "web: progress in the stream": progress_in_the_stream,
        "status: rates": acknowledged_last_minute,
        "tail": tail.new,
    }


def count_last(rows: int) -> None:
    """A step of a dispatcher that has counted all but these rows of each log."""
    RollupMark.objects.update(**dict.fromkeys(rollup.LOGS, HISTORY - rows))
    assert not rollup._count_next(dict.fromkeys(rollup.LOGS, HISTORY))


def progress_in_the_stream() -> None:
    progress = progress_of(source="/old", subject="77")
    assert [step.delivery_id for step in progress.steps if step.delivery_id is None]


def test_no_periodic_query_grows_with_history(pulling: Subscriber) -> None:
    unbounded = {
        name: why
        for name, query in periodic_queries(pulling).items()
        if (why := what_grows(query, is_capped=name in CAPPED))
    }

    assert not unbounded, "\n".join(f"{name}: {why}" for name, why in unbounded.items())


def what_grows(query: Callable[[], object], *, is_capped: bool) -> str:
    """What of the statements of `query` grows with history; "" where nothing does."""
    is_sqlite = connection.vendor == "sqlite"
    before = _count_steps() if is_sqlite else []
    with CaptureQueriesContext(connection) as captured:
        query()
    steps = len(before) * STEPS_EACH
    if is_sqlite:
        connection.connection.set_progress_handler(None, 0)
    statements = [each for sql in captured for each in sql["sql"].split("; ")]
    read = [
        statement for statement in statements if statement.lstrip().startswith(READING)
    ]
    assert read
    judge = _scan_of_sqlite if is_sqlite else _scan_of_postgresql
    scans = [why for each in read if (why := judge(each, is_capped=is_capped))]
    if steps > MAX_STEPS and not is_capped:
        scans.append(f"{steps} steps")
    return "\n".join(scans)


def _count_steps() -> list[None]:
    """Has one entry more with each thousand of steps."""
    passed: list[None] = []
    connection.ensure_connection()
    connection.connection.set_progress_handler(lambda: passed.append(None), STEPS_EACH)
    return passed


def _scan_of_sqlite(sql: str, *, is_capped: bool) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        lines = [str(row[-1]) for row in cursor.fetchall()]
    whole = [f"SCAN {table}" for table in TABLES]
    # Of a table in the order of its key, a LIMIT ends the scan: the steps tell.
    matching = [line for line in lines if line in whole and "LIMIT" not in sql]
    return f"{matching[0]}: {sql}" if matching else ""


def _scan_of_postgresql(sql: str, *, is_capped: bool) -> str:
    # It is executed, and a second time must find what the first one did.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}")
        (value,) = cursor.fetchone()
        transaction.set_rollback(True)
    plan = (value if isinstance(value, list) else json.loads(value))[0]["Plan"]
    for node in _nodes(plan):
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in TABLES:
            return f"Seq Scan on {node['Relation Name']}: {sql}"
    blocks = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return f"{blocks} blocks: {sql}" if blocks > MAX_BLOCKS and not is_capped else ""


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)
