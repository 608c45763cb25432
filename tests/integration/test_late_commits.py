"""An event that commits late comes before whatever is published after its commit.

On PostgreSQL, with publishers in sessions of their own, which end when the test says.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from router.flow import loop as looping
from router.flow.loop import DispatcherLoop, Pauses
from router.models import EventRecord
from router.public import publish
from tests.integration.steps import doorbell_to
from tests.servers.postgresql import database_of_its_own

TYPE = "thing.happened"
SEQUENCE = "pg_get_serial_sequence('router_eventrecord', 'number')"
INSERT = """
    INSERT INTO router_eventrecord (
        number, event_id, source, type, subject, time, dataschema, partitionkey,
        traceparent, extensions, data, digest, size_bytes, causation_depth)
    VALUES ({number}, %(id)s, '/elsewhere', 'thing.happened', '', now(), '', '', '',
        '{{}}', '{{}}', '', 2, 0)"""
#: A publisher of `stopped` draws its number, and then waits for a lock.
STOP_BEFORE_INSERT = """
    CREATE FUNCTION stop_before_insert() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.event_id = 'stopped' THEN PERFORM pg_advisory_xact_lock(42); END IF;
            RETURN NEW;
        END $$;
    CREATE TRIGGER stop_before_insert BEFORE INSERT ON router_eventrecord
        FOR EACH ROW EXECUTE FUNCTION stop_before_insert()"""
GO_ON = "DROP FUNCTION stop_before_insert CASCADE"

OpenSession = Callable[[], "psycopg.Connection[Any]"]


@pytest.fixture
def open_session(transactional_db: None) -> Iterator[OpenSession]:
    """Opens further sessions of the test's database; each begins a transaction."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    with ExitStack() as sessions:

        def begin() -> psycopg.Connection[Any]:
            session = psycopg.connect(**connection.get_connection_params())
            return sessions.enter_context(session)

        yield begin


@pytest.fixture
def loop(
    transactional_db: None, broker_url: str, settings: Any
) -> Iterator[DispatcherLoop]:
    """It looks at the publishers in every turn; after the first it routes, no more,
    and no look is full."""
    settings.ROUTER = {
        **settings.ROUTER,
        "LOW_WATER_SECONDS": 1e-9,
        "FULL_LOOK_SECONDS": 3600,
        "HEARTBEAT_SECONDS": 3600,
        "SWEEP_SECONDS": 3600,
    }
    doorbell = doorbell_to(broker_url)
    never = Pauses(due_look=math.inf, idle_due_look=math.inf)
    yield DispatcherLoop(doorbell, pauses=never)
    doorbell.close()


def insert(session: psycopg.Connection[Any], event_id: str, number: str = "") -> None:
    drawn = number or f"nextval({SEQUENCE})"
    session.execute(INSERT.format(number=drawn).encode(), {"id": event_id})


def draw_number(session: psycopg.Connection[Any]) -> str:
    """A number as an INSERT draws it, before the transaction has an id."""
    row = session.execute(f"SELECT nextval({SEQUENCE})".encode()).fetchone()
    assert row is not None
    return str(row[0])


def has_transaction_id(session: psycopg.Connection[Any]) -> bool:
    row = session.execute("SELECT pg_current_xact_id_if_assigned()").fetchone()
    return row is not None and row[0] is not None


def draw_number_without_transaction_id(session: psycopg.Connection[Any]) -> str:
    """One of 32 draws, and the first after a checkpoint, is logged: for that the
    transaction gets an id."""
    number = draw_number(session)
    while has_transaction_id(session):
        session.rollback()
        number = draw_number(session)
    return number


def route_others(loop: DispatcherLoop, count: int = 5) -> None:
    """Publish and route so often that the mark rises as far as it may."""
    for number in range(count):
        publish(TYPE, {}, id=f"other-{number}")
        loop.tick()
        loop.tick()
    assert position("other-0"), "A publisher that is open must not stop the others"


def position(event_id: str) -> int:
    return EventRecord.objects.get(event_id=event_id).position or 0


def assert_late_is_first(loop: DispatcherLoop) -> None:
    publish(TYPE, {}, id="after")
    loop.tick()
    assert 0 < position("other-4") < position("late") < position("after")


def mark(loop: DispatcherLoop) -> int:
    return loop.low_water.mark


def turn_until_marked(loop: DispatcherLoop) -> None:
    for _ in range(4):
        loop.tick()
    assert mark(loop) == EventRecord.objects.latest("number").number


def test_a_publisher_that_is_long_open_is_not_overtaken(
    loop: DispatcherLoop, open_session: OpenSession
) -> None:
    publisher = open_session()
    insert(publisher, "late")
    route_others(loop)

    publisher.commit()

    assert_late_is_first(loop)
    turn_until_marked(loop)


def test_a_publisher_without_a_transaction_id_is_not_overtaken(
    loop: DispatcherLoop, open_session: OpenSession
) -> None:
    publisher = open_session()
    number = draw_number_without_transaction_id(publisher)
    route_others(loop)

    insert(publisher, "late", number)
    publisher.commit()

    assert_late_is_first(loop)


def test_a_publisher_whose_savepoint_rolled_back_is_not_overtaken(
    loop: DispatcherLoop, open_session: OpenSession
) -> None:
    publisher = open_session()
    publisher.execute("SELECT 1")
    with publisher.transaction(force_rollback=True):
        number = draw_number(publisher)
    route_others(loop)

    insert(publisher, "late", number)
    publisher.commit()

    assert_late_is_first(loop)


def test_a_backend_that_is_stopped_before_its_insert_is_not_overtaken(
    loop: DispatcherLoop, open_session: OpenSession, wait_until: Callable[..., None]
) -> None:
    holder, publisher = open_session(), open_session()
    pid = publisher.info.backend_pid
    if not publisher.info.host.startswith("/"):
        pytest.skip("needs a PostgreSQL of this machine: run it with `make test`")
    with connection.cursor() as cursor:
        cursor.execute(STOP_BEFORE_INSERT)
    try:
        holder.execute("SELECT pg_advisory_xact_lock(42)")
        publisher.pgconn.send_query(
            INSERT.format(number=f"nextval({SEQUENCE})")
            .replace("%(id)s", "'stopped'")
            .encode()
        )
        wait_until(lambda: is_waiting(pid))
        os.kill(pid, signal.SIGSTOP)
        try:
            holder.commit()
            route_others(loop)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert publisher.pgconn.get_result() is not None
        assert publisher.pgconn.get_result() is None
        publisher.pgconn.exec_(b"COMMIT")
    finally:
        publisher.close()
        with connection.cursor() as cursor:
            cursor.execute(GO_ON)
    EventRecord.objects.filter(event_id="stopped").update(event_id="late")

    assert_late_is_first(loop)


def is_waiting(pid: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", [pid]
        )
        return bool(cursor.fetchone()[0])


def test_a_prepared_transaction_is_not_overtaken(
    loop: DispatcherLoop, open_session: OpenSession
) -> None:
    publisher = open_session()
    with connection.cursor() as cursor:
        cursor.execute("SHOW max_prepared_transactions")
        if cursor.fetchone()[0] == "0":
            pytest.skip("needs max_prepared_transactions: run it with `make test`")
    insert(publisher, "late")
    publish(TYPE, {})
    loop.tick()
    loop.tick()
    publisher.execute("PREPARE TRANSACTION 'late'")
    publisher.commit()
    route_others(loop)

    publisher.autocommit = True
    publisher.execute("COMMIT PREPARED 'late'")

    assert_late_is_first(loop)


def test_the_mark_rises_while_somebody_always_publishes(
    loop: DispatcherLoop, open_session: OpenSession
) -> None:
    """As in a shop that is never quiet: the next begins before the last one ends."""
    sessions = [open_session(), open_session()]
    marks = []
    for number in range(8):
        insert(sessions[number % 2], f"event-{number}")
        sessions[(number + 1) % 2].commit()
        loop.tick()
        marks.append(mark(loop))

    assert marks == sorted(marks)
    assert marks[-1] >= marks[-3] > marks[2] > 0


@pytest.mark.parametrize("is_committed", [True, False])
def test_what_reads_for_long_does_not_hold_the_mark(
    loop: DispatcherLoop, open_session: OpenSession, is_committed: bool
) -> None:
    """A dump, with its old snapshot, and a pooled session that is idle in one."""
    dump, pooled = open_session(), open_session()
    dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    dump.execute("LOCK TABLE router_eventrecord IN ACCESS SHARE MODE")
    dump.execute("SELECT last_value FROM router_eventrecord_number_seq")
    insert(pooled, "before")
    pooled.commit() if is_committed else pooled.rollback()
    pooled.execute("SELECT count(*) FROM router_eventrecord")

    route_others(loop)

    turn_until_marked(loop)


def test_publishers_of_another_database_do_not_hold_the_mark(
    loop: DispatcherLoop, postgresql_url: str
) -> None:
    """One that was copied has the same tables, by their numbers."""
    name = str(connection.settings_dict["NAME"])
    connection.close()
    with (
        database_of_its_own(postgresql_url, template=name) as url,
        psycopg.connect(url) as elsewhere,
    ):
        insert(elsewhere, "elsewhere")
        route_others(loop)
        turn_until_marked(loop)
        elsewhere.rollback()


def test_a_turn_takes_as_many_statements_however_many_publish(
    loop: DispatcherLoop, open_session: OpenSession
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            loop.tick()
        return len(captured)

    def fewest() -> int:
        """Without what is asked now and then."""
        return min(statements() for _ in range(10))

    loop.tick()
    with_nobody = fewest()
    for number in range(20):
        insert(open_session(), f"open-{number}")

    assert fewest() == with_nobody


def test_behind_a_lost_connection_every_number_is_looked_at_anew(
    loop: DispatcherLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server there may be another one, which gives the same numbers once more."""

    class Stop:
        def __init__(self) -> None:
            self.is_over = False

        def is_set(self) -> bool:
            return self.is_over

        def wait(self, _: float) -> None:
            self.is_over = True

    def fail(**_: Any) -> bool:
        raise DatabaseError

    publish(TYPE, {})
    turn_until_marked(loop)
    monkeypatch.setattr(looping, "has_unrouted", fail)

    loop.run(Stop())  # type: ignore[arg-type]  # all of an Event that it uses

    assert mark(loop) == 0
