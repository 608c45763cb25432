"""The admin's lists beside very many rows: on PostgreSQL, an index gives each page."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router.models import Subscriber
from router.observe import attempts
from router.observe.attempts import last_tried
from router.testing import isolated_subscribers
from tests.integration.rows import a_delivery, a_subscriber, an_event
from tests.integration.staff import a_viewer
from tests.integration.test_query_plans import (
    FILL_ATTEMPTS,
    FILL_DELIVERIES,
    FILL_LOG,
    SETTLED,
    is_read,
    plan,
)

pytestmark = pytest.mark.skipif("connection.vendor != 'postgresql'")

#: The same plans come out at 1,000,000 rows, which take minutes to write.
TABLES = ("router_auditentry", "router_failedtask")
FILL_AUDIT = """
    INSERT INTO router_auditentry (at, actor, action, target, subscriber_id, detail)
    SELECT now() - (%s - n) * interval '1 minute',
        CASE WHEN n %% 500 = 0 THEN 'user carla' ELSE 'key partner' END,
        CASE WHEN n %% 400 = 0 THEN 'subscriber.paused' ELSE 'failed_task.retried' END,
        'failed task ' || n, %s, '' FROM generate_series(1, %s) AS n"""
FILL_FAILED = """
    INSERT INTO router_failedtask (delivery_id, event_id, subscriber_id, reason, error,
        traceback, attempts, opened_at, state, settled_by_name, settled_note)
    SELECT id, event_id, subscriber_id, 'EXHAUSTED', 'E: no paper', '', 1, now(),
        CASE WHEN id % 200 = 0 THEN 'open' ELSE 'retried' END, '', ''
    FROM router_delivery"""


@pytest.fixture
def many(db: None) -> Iterator[None]:
    with isolated_subscribers(), connection.cursor() as cursor:
        row = a_subscriber("mail")
        # What neighbours deleted leaves pages that make an index dearer.
        cursor.execute("TRUNCATE router_eventrecord, router_auditentry CASCADE")
        cursor.execute(FILL_LOG, [SETTLED])
        cursor.execute(FILL_DELIVERIES, [row.pk])
        cursor.execute(FILL_FAILED)
        cursor.execute(FILL_AUDIT, [SETTLED, row.pk, SETTLED])
        cursor.execute("ANALYZE")
        yield


@pytest.mark.long
@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("address", "indexes"),
    [
        ("auditentry/", {"router_auditentry_pkey"}),
        ("auditentry/?p=100", {"router_auditentry_pkey"}),
        ("auditentry/?q=carla", {"audit_by_actor", "audit_by_action"}),
        ("auditentry/?q=nobody", {"audit_by_actor", "audit_by_target"}),
        ("auditentry/?q=777", {"audit_by_target"}),
        ("auditentry/?q=2020-01-31", {"audit_by_time"}),
        ("auditentry/?act=subscriber.paused", {"audit_by_action"}),
        ("auditentry/?object=failed+task+777", {"audit_by_target"}),
        ("auditentry/?when=hour", {"audit_by_time"}),
        ("failedtask/", {"failed_task_listed"}),
        ("failedtask/?p=100", {"failed_task_listed"}),
        ("failedtask/?state=retried", {"failed_task_listed"}),
        ("failedtask/?subscriber={mail}", {"failed_task_listed"}),
    ],
)
def test_a_page_of_a_list_is_read_by_an_index(address: str, indexes: set[str]) -> None:
    [table] = [name for name in TABLES if address.partition("/")[0] in name]
    mail = Subscriber.objects.get().pk
    with CaptureQueriesContext(connection) as captured:
        answer = a_viewer().get("/admin/router/" + address.format(mail=mail))
    assert answer.status_code == 200

    read = [
        sql for each in captured if is_read(sql := each["sql"]) and f'"{table}"' in sql
    ]
    plans = "\n".join(map(plan, read))
    for index in indexes:
        assert index in plans, plans
    assert f"Seq Scan on {table}" not in plans, plans
    for sql in read:
        if re.search(r"COUNT\(\*\)", sql) and "state" not in sql:
            assert "LIMIT 10001" in sql


@pytest.mark.long
@pytest.mark.usefixtures("many")
def test_attempts_of_a_quiet_subscriber_are_found_by_indexes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind thousands of a busy neighbour, and without a look at them."""
    monkeypatch.setattr(attempts, "LOOK_BACK", 1000)
    quiet = a_subscriber("quiet", events=["quiet.*"])
    event = an_event(type="quiet.thing", event_id="quiet")
    delivery = a_delivery(event, quiet, "ACKNOWLEDGED")
    delivery.attempt_log.create(
        number=1, result="ACKNOWLEDGED", ended_at=timezone.now()
    )
    with connection.cursor() as cursor:
        cursor.execute(f"{FILL_ATTEMPTS} WHERE subscriber_id <> %s", [quiet.pk])
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as captured:
        assert len(last_tried(quiet, 20)) == 1
    plans = "\n".join(plan(sql) for each in captured if is_read(sql := each["sql"]))
    assert not re.search(r"Seq Scan on router_(attempt|delivery|eventrecord)", plans)
