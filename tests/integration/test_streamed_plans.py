"""What screens read of cursors and chunks, they read by an index: on PostgreSQL, beside
a log and acknowledgements that are worth one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from router.management.screens.tail import Tail
from router.models import Acknowledgement, Cursor, EventRecord, LogHead
from router.observe.overview import acknowledged_last_minute, subscribers_overview
from router.observe.progress import progress_of
from router.public import subscriber
from router.testing import isolated_subscribers, register_declared
from tests.integration.rows import undone
from tests.integration.test_query_plans import FILL_LOG, SETTLED, is_read, plan

SUBSCRIBERS, BEHIND = 6, 500
FILL_CHUNKS = """
    INSERT INTO router_acknowledgement (
        cursor_id, first, last, count, acknowledged_at, worker)
    SELECT id, n, n, 1, now(), '' FROM router_cursor, generate_series(1, %s) AS n"""


@pytest.fixture(autouse=True)
def long_log(db: None) -> Iterator[None]:
    """All is acknowledged in the stream; one subscriber never had an event."""
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: run the tests with `make test`")
    with isolated_subscribers():
        for index in range(SUBSCRIBERS):
            name = f"listener_{index}"
            subscriber(name, events=["thing.happened"])(lambda event: None)
        register_declared()
        with connection.cursor() as cursor:
            # What neighbours deleted leaves pages that make an index dearer.
            cursor.execute("TRUNCATE router_eventrecord CASCADE")
            cursor.execute(FILL_LOG, [SETTLED])
            LogHead.objects.update(position=SETTLED)
            cursor.execute(FILL_CHUNKS, [SETTLED])
            Cursor.objects.update(position=SETTLED)
            EventRecord.objects.filter(position=77).update(subject="order-7")
        subscriber("new", events=["thing.*"])(lambda event: None)
        register_declared()
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        yield


def show_the_order() -> None:
    progress = progress_of(source="/old", subject="order-7")
    assert progress.done_count == SUBSCRIBERS


def count_what_is_behind() -> None:
    Cursor.objects.update(position=F("position") - BEHIND)
    waiting = [each.waiting for each in subscribers_overview()]
    assert waiting == [BEHIND] * (SUBSCRIBERS + 1)


def follow() -> None:
    tail = Tail()
    tail.last(0)
    chunk = Acknowledgement.objects.get(cursor=Cursor.objects.first(), last=77)
    chunk.pk = None
    chunk.first = chunk.last = SETTLED + 1
    EventRecord.objects.filter(position=77).update(position=SETTLED + 1)
    chunk.save()
    assert len(tail.new()) == 1


LOOKS: list[Callable[[], object]] = [
    show_the_order,
    count_what_is_behind,
    subscribers_overview,
    acknowledged_last_minute,
    follow,
]


def test_a_look_reads_by_an_index() -> None:
    for look in LOOKS:
        with undone():
            assert_reads_by_an_index(look)


def assert_reads_by_an_index(look: Callable[[], object]) -> None:
    with CaptureQueriesContext(connection) as captured:
        look()
    plans = [plan(query["sql"]) for query in captured if is_read(query["sql"])]
    assert plans
    for shown in plans:
        for table in ("router_eventrecord", "router_acknowledgement"):
            assert f"Seq Scan on {table}" not in shown, shown
