"""Each trick of docs/database-internals.md has a canary here, of the same name.

A canary fails when Django, psycopg or PostgreSQL does no more what its trick relies on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.env import BASE_DIR
from router.db.async_commit import AsyncCommit
from router.db.bulk_insert import Insert
from router.db.guard import Guard, isolate_hooks
from router.db.literals import with_literals
from router.db.pipeline import (
    BEGIN,
    COMMIT,
    NotAll,
    read_changed,
    rows_of_first,
    rows_of_planned,
    update_expecting,
)
from router.db.plan_cache import PLAN_SETTINGS, run_by_plan
from router.db.session import look_at_session
from router.db.statements import IDS, Select, Statement, Update, changed, fetched
from router.models import Delivery, DeliveryState, Heartbeat, Subscriber
from tests.integration.test_round_trips import messages

PAGE = BASE_DIR / "docs" / "database-internals.md"
ONE = Statement("SELECT 1", ())
IN_STATE = "SELECT id FROM router_delivery WHERE subscriber_id = 1 AND state = %s"


@pytest.fixture(autouse=True)
def session(transactional_db: None) -> Iterator[Any]:
    """A new one, which keeps the plan of each statement."""
    connection.close()
    connection.ensure_connection()
    connection.connection.prepare_threshold = 0
    yield connection.connection
    connection.close()


@pytest.fixture
def row() -> Heartbeat:
    return Heartbeat.objects.create(name="a", kind="worker", beat_at=timezone.now())


def asked(sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    return [value for value, *_ in fetched(Statement(sql, parameters))]


def plan(sql: str, parameters: Sequence[Any] = ()) -> str:
    return "\n".join(asked(f"EXPLAIN {sql}", parameters))


def test_the_page_and_the_canaries_name_the_same_tricks() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\S+)` \|", PAGE.read_text(), re.MULTILINE)
    canaries = [name for name in globals() if name.startswith("test_canary_")]

    assert [f"test_canary_{name}" for name, _ in rows] == canaries
    assert not [path for _, path in rows if not (BASE_DIR / path).is_file()]


def test_canary_pipeline() -> None:
    def ask_twice() -> None:
        with transaction.atomic():
            assert rows_of_first([ONE, ONE]) == [[(1,)], [(1,)]]

    # COMMIT is the other one.
    assert messages(ask_twice) == 2


def test_canary_begin(session: Any) -> None:
    changed(Statement("SET default_transaction_isolation = 'serializable'", ()))
    with transaction.atomic():
        rows_of_first([ONE])
        # Django does not know that the driver begins no transaction any more.
        assert session.autocommit
        assert session.info.transaction_status.name == "INTRANS"
        # Whatever is usual here, each statement sees what committed before it.
        assert asked("SHOW transaction_isolation") == ["read committed"]
    assert session.info.transaction_status.name == "IDLE"


def test_canary_commit() -> None:
    def ask_and_commit() -> None:
        with transaction.atomic():
            rows_of_first([ONE, COMMIT])

    assert messages(ask_and_commit) == 1


@pytest.mark.parametrize("usual", ["read committed", "repeatable read"])
def test_canary_whole(row: Heartbeat, usual: str) -> None:
    changed(Statement(f"SET default_transaction_isolation = '{usual}'", ()))
    isolation = Statement("SHOW transaction_isolation", ())
    seqscan = Statement("SHOW enable_seqscan", ())
    renamed = Statement("UPDATE router_heartbeat SET name = 'b'", ())
    failing = Statement("SELECT CAST(name AS integer) FROM router_heartbeat", ())

    with CaptureQueriesContext(connection) as captured:
        settings = rows_of_planned([isolation, seqscan])
    assert settings == [[("read committed",)], [("off",)]]
    # Where another isolation is usual, the transaction is begun and committed.
    is_begun = any(query["sql"] == BEGIN.sql for query in captured)
    assert is_begun == (usual != "read committed")

    with pytest.raises(DataError):
        rows_of_planned([renamed, failing, ONE])
    assert asked("SELECT name FROM router_heartbeat") == ["a"]
    assert asked("SHOW enable_seqscan") == ["on"]
    # What came after the failing one was not prepared, and is not believed to be.
    assert rows_of_planned([renamed, ONE]) == [(), [(1,)]]
    assert asked("SELECT name FROM router_heartbeat") == ["b"]


def test_canary_plans(session: Any) -> None:
    addition = Statement("SELECT %s + 1", [1])
    fetched(addition)
    for _ in range(2):
        run_by_plan(addition, connection)

    names = asked("SELECT name FROM pg_prepared_statements")
    # Its number is no other process's.
    assert names == [f"_pg3_{session._prepared._prepared_idx - 1}"]
    assert session._prepared._prepared_idx > 1


def test_canary_plan_settings(row: Heartbeat) -> None:
    changed(Statement("ANALYZE router_heartbeat", ()))
    by_name = "SELECT id FROM router_heartbeat WHERE name = 'a'"

    assert "Seq Scan" in plan(by_name)
    with transaction.atomic():
        fetched(PLAN_SETTINGS)
        assert "Index" in plan(by_name)
    assert "Seq Scan" in plan(by_name)


def test_canary_literals() -> None:
    parameters = [DeliveryState.PENDING]
    sql, left = with_literals(
        IN_STATE, parameters, left=lambda value: False, connection=connection
    )
    assert (sql, left) == (IN_STATE.replace("%s", "'PENDING'"), [])

    changed(Statement(f"PREPARE a AS {IN_STATE.replace('%s', '$1')}", ()))
    changed(Statement(f"PREPARE b AS {sql}", ()))
    with transaction.atomic():
        fetched(PLAN_SETTINGS)
        assert "delivery_pending" not in plan("EXECUTE a('PENDING')")
        assert "delivery_pending" in plan("EXECUTE b")


def test_canary_statements(row: Heartbeat) -> None:
    query = Heartbeat.objects.filter(pk__in_array=IDS)
    select = Select(lambda: query.only("name", "queues"))
    update = Update(lambda: (query, {"queues": ["a"]}))

    assert changed(update.bound(ids=[row.pk])) == 1
    [read] = select.models(ids=[row.pk])
    assert (read, read.name, read.queues) == (row, "a", ["a"])
    assert read.get_deferred_fields() >= {"kind", "beat_at", "is_broker_reachable"}


def test_canary_bulk_insert() -> None:
    now = timezone.now()
    insert = Insert(
        Heartbeat, {"name": "text"}, lambda: {"beat_at": now, "kind": "worker"}
    )

    assert changed(insert.of([("a",), ("b",)])) == 2
    rows = Heartbeat.objects.order_by("name")
    assert [(row.name, row.kind, row.beat_at, row.queues) for row in rows] == [
        (name, "worker", now, []) for name in "ab"
    ]


def test_canary_in_array() -> None:
    query = Delivery.objects.filter(pk__in_array=range(3)).query
    sql, parameters = query.sql_with_params()

    assert parameters == ("{0, 1, 2}",)
    with transaction.atomic():
        fetched(PLAN_SETTINGS)
        assert "Index Cond: (id = ANY" in plan(sql, parameters)


def test_canary_no_index() -> None:
    def plan_of(**condition: str) -> str:
        query = Subscriber.objects.filter(**condition).values("pk").query
        return plan(*query.sql_with_params())

    # Of a table known to have one row, any index is as good.
    Subscriber.objects.bulk_create(Subscriber(name=f"s{n}") for n in range(100))
    changed(Statement("ANALYZE router_subscriber", ()))
    with transaction.atomic():
        fetched(PLAN_SETTINGS)
        assert "Index Cond: ((name)" in plan_of(name="a")
        assert "Index Cond: ((name)" not in plan_of(name__no_index="a")


def test_canary_async_commit(row: Heartbeat) -> None:
    with transaction.atomic():
        assert Heartbeat.objects.filter(AsyncCommit()).update(name="b") == 1
        assert asked("SHOW synchronous_commit") == ["off"]
    assert asked("SHOW synchronous_commit") == ["on"]


def test_canary_read_changed(row: Heartbeat) -> None:
    query = Heartbeat.objects.filter(pk__in_array=IDS)
    update = Update(lambda: (query, {"name": "b"}))
    read = Select(lambda: query.values_list("name"))

    rows, beside = read_changed(update, read, read, ids=[row.pk])
    # The table itself would show the row as it was before the statement.
    assert (rows, beside) == ([("b",)], [("b",)])


def test_canary_checked_count(row: Heartbeat) -> None:
    update = Statement("UPDATE router_heartbeat SET name = 'b'", ())

    with pytest.raises(NotAll), transaction.atomic():
        update_expecting(2, update, may_commit=True)
    row.refresh_from_db()
    assert row.name == "a"


def test_canary_guard() -> None:
    guard = Guard()
    with transaction.atomic():
        with guard.watching():
            assert asked("SELECT 1") == [1]
        changed(Statement(connection.ops.savepoint_commit_sql(guard.name), ()))
    assert connection.execute_wrappers == []


def test_canary_hooks() -> None:
    ran: list[str] = []
    with transaction.atomic():
        transaction.on_commit(lambda: ran[0])
        transaction.on_commit(lambda: ran.append("second"))
        isolate_hooks()
    assert ran == ["second"]


def test_canary_session() -> None:
    assert connection.health_check_enabled

    def look_and_ask() -> None:
        look_at_session()
        asked("SELECT 1")

    # Django alone would ask whether the session lives.
    assert messages(look_and_ask) == 1
    connection.close_if_unusable_or_obsolete()
    assert messages(lambda: asked("SELECT 1")) == 2
