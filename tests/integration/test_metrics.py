"""`/metrics`: what Prometheus reads of the router, and who may read it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.env import BASE_DIR
from router.models import Heartbeat, LogHead
from tests.contract.steps import boom, count_all, drain, publish_events
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
from tests.integration.scraping import Samples, families_of, scrape, value
from tests.integration.test_query_plans import (
    FILL_ATTEMPTS,
    FILL_DELIVERIES,
    FILL_LOG,
    SETTLED,
    is_read,
    plan,
)
from tests.receivers import Declare

TOKEN = "t0ken" * 8
STATEMENTS = 10
#: Contracts: dashboards and alerts of others name them.
FAMILIES = {
    "fanfare_events_total": "counter",
    "fanfare_log_head": "gauge",
    "fanfare_unrouted_events": "gauge",
    "fanfare_backlog_events": "gauge",
    "fanfare_oldest_owed_seconds": "gauge",
    "fanfare_attempts_total": "counter",
    "fanfare_publish_to_ack_seconds": "histogram",
    "fanfare_handler_seconds": "histogram",
    "fanfare_breaker_state": "gauge",
    "fanfare_failed_tasks_open": "gauge",
    "fanfare_run_remaining_events": "gauge",
    "fanfare_bridge_lag": "gauge",
    "fanfare_heartbeat_age_seconds": "gauge",
}


@pytest.fixture(autouse=True)
def debug() -> Iterator[None]:
    with override_settings(DEBUG=True):
        yield


def backlog(samples: Samples, name: str) -> dict[str, float]:
    return {
        state: value(samples, "fanfare_backlog_events", subscriber=name, state=state)
        for state in ("moving", "waiting", "held")
    }


@pytest.mark.django_db
def test_a_scrape_has_the_names_that_are_promised() -> None:
    answer: Any = Client().get("/metrics")
    assert answer["Content-Type"].startswith("text/plain; version=")
    assert "no-store" in answer["Cache-Control"]
    assert families_of(answer.content.decode()) == FAMILIES


@pytest.mark.django_db
def test_prometheus_may_ask_for_openmetrics() -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    answer: Any = Client().get("/metrics", headers={"Accept": accept})
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert answer.content.endswith(b"# EOF\n")


def test_what_was_delivered_is_counted(declare: Declare) -> None:
    declare("well")
    declare("ill", behave=boom)
    publish_events(3)
    drain()
    count_all()
    samples = scrape()
    assert value(samples, "fanfare_events_total", type="thing.happened") == 3
    counted = {
        name: value(
            samples, "fanfare_attempts_total", subscriber=name, outcome="acknowledged"
        )
        for name in ("well", "ill")
    }
    assert counted == {"well": 3, "ill": 0}
    dead = {"subscriber": "ill", "outcome": "dead"}
    assert value(samples, "fanfare_attempts_total", **dead) == 3
    for name in ("fanfare_publish_to_ack_seconds", "fanfare_handler_seconds"):
        assert value(samples, f"{name}_count", subscriber="well") == 3
        assert value(samples, f"{name}_sum", subscriber="well") > 0
        assert value(samples, f"{name}_bucket", subscriber="well", le="+Inf") == 3
        assert value(samples, f"{name}_bucket", subscriber="well", le="3600.0") == 3
    assert value(samples, "fanfare_failed_tasks_open", subscriber="ill") == 3
    assert value(samples, "fanfare_log_head") == LogHead.objects.get().position


def test_waiting_deliveries_are_counted_by_reason(empty_router: None) -> None:
    now = timezone.now()
    later, hour_ago = now + timedelta(hours=1), now - timedelta(hours=1)
    for name, fields in {
        "well": {},
        "away": {"breaker": "open"},
        "paused": {"state": "paused"},
    }.items():
        each = a_subscriber(name, transport="webhook", **fields)
        a_delivery(an_event(), each, due_at=later, created_at=hour_ago)
        a_delivery(an_event(), each)
        a_delivery(an_event(), each, due_at=None, ordering_key="key")
        a_delivery(an_event(), each, "LEASED")
        a_delivery(an_event(), each, "ACKNOWLEDGED")
    an_event(is_routed=False)
    a_failed_task(a_delivery(an_event(), each, "DEAD"))
    a_subscriber("idle", transport="pull", breaker="draining")
    samples = scrape()
    assert backlog(samples, "well") == {"moving": 2, "waiting": 1, "held": 1}
    assert backlog(samples, "away") == {"moving": 1, "waiting": 0, "held": 3}
    assert backlog(samples, "paused") == {"moving": 1, "waiting": 0, "held": 3}
    assert backlog(samples, "idle") == {"moving": 0, "waiting": 0, "held": 0}
    oldest = "fanfare_oldest_owed_seconds"
    assert 3600 <= value(samples, oldest, subscriber="well") < 3700
    assert value(samples, oldest, subscriber="idle") == 0
    breakers = [
        value(samples, "fanfare_breaker_state", subscriber=name)
        for name in ("well", "idle", "away")
    ]
    assert breakers == [0, 1, 2]
    assert value(samples, "fanfare_failed_tasks_open", subscriber="paused") == 1
    assert value(samples, "fanfare_unrouted_events") == 1


def test_heartbeats_and_bridges_are_reported_by_kind_and_name(
    empty_router: None,
) -> None:
    for name, kind, seconds, details in (
        ("one", "worker", 5, {}),
        ("two", "worker", 500, {}),
        ("three", "bridge", 1, {"bridge": "legacy", "waiting": 7}),
        ("four", "bridge", 2, {"bridge": "legacy", "waiting": 5}),
        ("five", "bridge", 2, {"bridge": "silent", "waiting": None}),
        ("six", "bridge", 900, {"bridge": "dead", "waiting": 3}),
    ):
        beat_at = timezone.now() - timedelta(seconds=seconds)
        Heartbeat.objects.create(name=name, kind=kind, beat_at=beat_at, details=details)
    samples = scrape()
    age = value(samples, "fanfare_heartbeat_age_seconds", kind="worker")
    assert 5 <= age < 60
    lags = {labels for name, labels in samples if name == "fanfare_bridge_lag"}
    assert lags == {frozenset({("bridge", "legacy")})}
    assert value(samples, "fanfare_bridge_lag", bridge="legacy") == 7


def test_a_deleted_subscriber_has_no_series(empty_router: None) -> None:
    a_subscriber("gone", deleted_at=timezone.now())
    named = [dict(labels).get("subscriber") for _, labels in scrape()]
    assert "gone" not in named


def test_no_data_of_customers_is_in_a_scrape(empty_router: None) -> None:
    each = a_subscriber("erp", url="https://erp.example.com/hook?key=secret")
    a_failed_task(a_delivery(an_event(subject="order-77"), each, "DEAD"))
    text = Client().get("/metrics").content.decode()
    for leak in ("order-77", "secret", "example.com", "private", "warehouse"):
        assert leak not in text


@pytest.mark.django_db
def test_in_debug_without_a_token_it_is_open() -> None:
    assert Client().get("/metrics").status_code == 200


@override_settings(DEBUG=False, SECURE_SSL_REDIRECT=False)
def test_in_production_without_a_token_it_is_closed() -> None:
    # Without the mark `django_db` a query would be an error.
    answer = Client().get("/metrics")
    assert answer.status_code == 403
    assert b"METRICS_TOKEN" in answer.content


@pytest.mark.parametrize("is_debug", [True, False])
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer ", 401),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer é", 401),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN}", 200),
    ],
)
def test_a_client_needs_the_token(
    db: None, sent: str | None, status: int, is_debug: bool
) -> None:
    chosen = {**settings.ROUTER, "METRICS_TOKEN": TOKEN}
    headers = {} if sent is None else {"Authorization": sent}
    with override_settings(ROUTER=chosen, DEBUG=is_debug, SECURE_SSL_REDIRECT=False):
        answer = Client().get("/metrics", headers=headers)
    assert answer.status_code == status
    assert TOKEN.encode() not in answer.content
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_it_is_only_read() -> None:
    assert Client().post("/metrics").status_code == 405


@pytest.mark.django_db
def test_while_the_database_is_away_the_scrape_fails() -> None:
    def away(*_: Any) -> None:
        raise OperationalError("secret host is away")

    with connection.execute_wrapper(away):
        answer = Client().get("/metrics")
    assert answer.status_code == 503
    assert b"secret" not in answer.content


def test_the_statements_grow_with_nothing(empty_router: None) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            scrape()
        return len(queries)

    before = count()
    for number in range(5):
        each = a_subscriber(f"subscriber-{number}")
        a_delivery(an_event(type=f"type.{number}"), each)
    assert before == count() == STATEMENTS


def test_a_scrape_reads_no_log(empty_router: None) -> None:
    """On PostgreSQL, with tables that are worth an index."""
    each = a_subscriber("listener")
    with connection.cursor() as cursor:
        cursor.execute(FILL_LOG, [SETTLED])
        cursor.execute(FILL_DELIVERIES, [each.pk])
        cursor.execute(FILL_ATTEMPTS)
        cursor.execute("ANALYZE")
    a_delivery(an_event(event_id="owed"), each)
    with CaptureQueriesContext(connection) as captured:
        scrape()
    plans = [plan(query["sql"]) for query in captured if is_read(query["sql"])]
    assert len(plans) == STATEMENTS
    for each_plan in plans:
        for table in ("eventrecord", "delivery", "attempt"):
            assert f"Seq Scan on router_{table}" not in each_plan, each_plan
        assert "router_attempt" not in each_plan


def test_only_a_scrape_imports_the_library_of_prometheus() -> None:
    """Dispatchers and workers start without it."""
    script = (
        "import sys, django; django.setup()\n"
        "import config.celery, config.urls, router.flow.loop, router.tasks\n"
        "sys.exit('prometheus_client' in sys.modules)"
    )
    completed = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=BASE_DIR,
        env={"DJANGO_SETTINGS_MODULE": "config.settings", "DEBUG": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
