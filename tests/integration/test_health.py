from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone

from router.conf import QUEUES
from router.models import Heartbeat
from router.public import subscriber
from router.testing import isolated_subscribers, register_declared

NAMES = ["database", "migrations", "broker", "dispatcher", "workers"]


def beat(
    kind: str,
    *,
    seconds_ago: float = 0,
    sees_broker: bool | None = None,
    queues: Collection[str] = QUEUES.values(),
) -> None:
    Heartbeat.objects.create(
        name=f"{kind}-{Heartbeat.objects.count()}",
        kind=kind,
        beat_at=timezone.now() - timedelta(seconds=seconds_ago),
        is_broker_reachable=sees_broker,
        queues=list(queues) if kind == "worker" else [],
    )


def failing(client: Client) -> list[str]:
    """The names of the failed checks, after a look at the form of the answer."""
    response = client.get("/readyz")
    body = response.json()
    assert list(body["checks"]) == NAMES
    failed = [name for name, check in body["checks"].items() if not check["ok"]]
    assert all(check["detail"] for check in body["checks"].values())
    assert response.status_code == (503 if failed else 200)
    assert body["status"] == ("not ready" if failed else "ready")
    assert "no-store" in response["Cache-Control"]
    return failed


def test_healthz_asks_nothing(client: Client) -> None:
    # Without the mark `django_db` a query would be an error.
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok")
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("beats", "expected"),
    [
        # Everything runs.
        ([("dispatcher", 0, True), ("worker", 0, None)], []),
        # Nothing was ever started: nobody can tell of the broker either.
        ([], ["broker", "dispatcher", "workers"]),
        # The dispatcher died a while ago, and its word on the broker with it.
        (
            [("dispatcher", 60, True), ("worker", 0, None)],
            ["broker", "dispatcher"],
        ),
        # The broker is away.
        ([("dispatcher", 0, False), ("worker", 0, None)], ["broker"]),
        # One of two dispatchers reaches it: work goes on.
        ([("dispatcher", 0, False), ("dispatcher", 0, True), ("worker", 0, None)], []),
        # All workers are dead.
        ([("dispatcher", 0, True), ("worker", 60, None)], ["workers"]),
    ],
)
def test_each_check_fails_for_its_own_reason(
    client: Client, beats: list[tuple[str, float, bool | None]], expected: list[str]
) -> None:
    for kind, seconds_ago, sees_broker in beats:
        beat(kind, seconds_ago=seconds_ago, sees_broker=sees_broker)
    assert failing(client) == expected


@pytest.mark.django_db
def test_readyz_names_the_command_for_a_queue_without_worker(client: Client) -> None:
    beat("dispatcher", sees_broker=True)
    beat("worker", queues=["router.slow"])
    with isolated_subscribers():
        assert failing(client) == []
        subscriber("listener", events=["*"])(lambda event: None)
        register_declared()
        assert failing(client) == ["workers"]
        detail = client.get("/readyz").json()["checks"]["workers"]["detail"]
        assert "worker -Q router.default`" in detail
        beat("worker", queues=["router.default"])
        assert failing(client) == []


@pytest.mark.django_db
def test_a_migration_that_is_not_applied_fails(client: Client) -> None:
    beat("dispatcher", sees_broker=True)
    beat("worker")
    MigrationRecorder(connection).record_unapplied("router", "0001_initial")
    assert failing(client) == ["migrations"]


@pytest.mark.django_db
def test_while_the_database_is_away_nothing_is_claimed(client: Client) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("secret host is away")

    with connection.execute_wrapper(away):
        assert failing(client) == NAMES
        assert b"secret" not in client.get("/readyz").content


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_only_read(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
