"""`manage.py doctor`: what it finds wrong, and that it says how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import redis
from celery import current_app
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from router.models import Heartbeat

pytestmark = pytest.mark.usefixtures("alive", "empty_router")


@pytest.fixture
def broker(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """The broker that the site is set to, and a client of it."""
    monkeypatch.setattr(current_app.conf, "broker_url", broker_url)
    with redis.Redis.from_url(broker_url) as client:
        yield client


def examined() -> tuple[str, int]:
    """What the doctor prints, and its exit code."""
    out = StringIO()
    try:
        call_command("doctor", stdout=out)
    except SystemExit as error:
        return out.getvalue(), int(str(error.code))
    return out.getvalue(), 0


def complaint(printed: str, title: str) -> list[str]:
    """The lines of the complaint about this, and of its cure."""
    lines = printed.splitlines()
    found = [n for n, line in enumerate(lines) if line.startswith(f"✗ {title}:")]
    return lines[found[0] : found[0] + 3] if found else []


def test_it_ends_well_where_all_is_well(broker: redis.Redis) -> None:
    printed, code = examined()
    wrong = [line for line in printed.splitlines() if line.startswith("✗")]
    # The tests' own servers trade safety for speed, and the doctor sees it: SQLite
    # lives in memory, PostgreSQL does not wait for the disk.
    expected = {"✗ SQLite log", "✗ durability"}
    assert {line.partition(":")[0] for line in wrong} <= expected, printed
    assert code == bool(wrong)
    assert "✓ broker: maxmemory-policy is noeviction" in printed


def test_a_broker_that_throws_away_is_wrong(broker: redis.Redis) -> None:
    broker.config_set("maxmemory-policy", "allkeys-lru")
    try:
        printed, code = examined()
    finally:
        broker.config_set("maxmemory-policy", "noeviction")
    assert "allkeys-lru" in complaint(printed, "broker")[0]
    assert "CONFIG SET maxmemory-policy noeviction" in printed
    assert code == 1


@pytest.mark.parametrize("kind", ["redis", "amqp"])
def test_a_broker_that_is_away_is_wrong(
    free_port: int, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    url = f"{kind}://127.0.0.1:{free_port}/0"
    monkeypatch.setattr(current_app.conf, "broker_url", url)
    printed, code = examined()
    assert "does not answer" in complaint(printed, "broker")[0]
    assert code == 1


@pytest.mark.parametrize("kind", ["dispatcher", "workers"])
def test_a_process_without_a_sign_of_life_is_wrong(
    broker: redis.Redis, kind: str
) -> None:
    an_hour_ago = timezone.now() - timedelta(hours=1)
    Heartbeat.objects.filter(kind=kind.removesuffix("s")).update(beat_at=an_hour_ago)
    printed, code = examined()
    assert complaint(printed, kind)
    assert code == 1


def test_a_dangerous_setting_is_wrong(broker: redis.Redis, settings: Any) -> None:
    settings.CELERY_DB_REUSE_MAX = None
    printed, code = examined()
    assert "CELERY_DB_REUSE_MAX" in " ".join(complaint(printed, "settings"))
    assert code == 1


def test_a_database_that_is_away_is_wrong(
    broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OperationalError("no password swordfish at db.example\nand more")

    with monkeypatch.context() as patched:
        patched.setattr(connection, "ensure_connection", away)
        patched.setitem(connection.settings_dict, "PASSWORD", "swordfish")
        printed, code = examined()
    assert "(no password … at db.example)" in complaint(printed, "database")[0]
    assert "swordfish" not in printed
    assert code == 1
