"""The dashboard reads no log: on PostgreSQL, beside a log that is worth an index."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from router.models import Cursor, LogHead, Subscriber
from router.public import subscriber
from router.testing import isolated_subscribers, register_declared
from tests.integration.staff import a_viewer
from tests.integration.test_query_plans import (
    FILL_ATTEMPTS,
    FILL_DELIVERIES,
    FILL_LOG,
    SETTLED,
    is_read,
    plan,
)

#: The same plans come out at 1,000,000 events, which take 20 s to write.
EVENTS = SETTLED
HISTORY = ("router_eventrecord", "router_delivery", "router_attempt")
FILL_ROLLUPS = """
    INSERT INTO router_rollup (
        span, began_at, measure, subscriber_id, label, count, seconds)
    SELECT span, date_trunc(unit, now()) - n * span * interval '1 second', measure,
        subscriber_id, label, 60, 1
    FROM (VALUES (60, 'minute', 1560), (3600, 'hour', 840)) AS spans(span, unit, most),
        generate_series(0, most) AS n, generate_series(1, 6) AS subscriber_id,
        (VALUES ('attempts', 'acknowledged'), ('publish_to_ack', '0.1')) AS
            measures(measure, label)"""


@pytest.fixture
def long_log(db: None) -> Iterator[None]:
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: run the tests with `make test`")
    with isolated_subscribers():
        for index in range(6):
            name = f"listener_{index}"
            subscriber(name, events=["thing.happened"])(lambda event: None)
        register_declared()
        with connection.cursor() as cursor:
            # What neighbours deleted leaves pages that make an index dearer.
            cursor.execute(f"TRUNCATE {', '.join(HISTORY)} CASCADE")
            cursor.execute(FILL_LOG, [EVENTS])
            cursor.execute(FILL_DELIVERIES, [Subscriber.objects.first().pk])
            cursor.execute(FILL_ATTEMPTS)
            cursor.execute(FILL_ROLLUPS)
            cursor.execute("ANALYZE")
        LogHead.objects.update(position=EVENTS)
        Cursor.objects.update(position=EVENTS)
        yield


@pytest.mark.usefixtures("long_log")
def test_the_dashboard_reads_rollups_and_what_is_open() -> None:
    viewer = a_viewer()
    viewer.get("/admin/")
    with CaptureQueriesContext(connection) as captured:
        viewer.get("/admin/", {"window": "hour"})
    read = [each["sql"] for each in captured if is_read(each["sql"])]
    assert len(read) <= 26
    for sql in read:
        shown = plan(sql)
        for table in HISTORY:
            assert f"Seq Scan on {table}" not in shown, shown
        if "router_rollup" in sql:
            assert "rollup_once" in shown, shown
