"""The health checks of containers: each looks at the process of its own host."""

from __future__ import annotations

import socket
from contextlib import suppress
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from router.models import Heartbeat

pytestmark = pytest.mark.django_db
HERE = socket.gethostname()


def lives(process: str) -> bool:
    output = StringIO()
    with suppress(SystemExit):
        call_command("alive", process, stdout=output, stderr=StringIO())
        return True
    assert "no sign of life" in output.getvalue()
    return False


def beat(kind: str, host: str = HERE, *, seconds_ago: float = 0) -> None:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    Heartbeat.objects.create(name=f"{kind}@{host}:7", kind=kind, beat_at=at)


@pytest.mark.parametrize("kind", Heartbeat.Kind.values)
def test_a_process_that_beats_is_alive(kind: str) -> None:
    assert not lives(kind)
    beat(kind)
    assert lives(kind)


def test_a_heart_that_stopped_is_no_sign_of_life() -> None:
    beat("worker", seconds_ago=60)
    assert not lives("worker")


def test_the_heart_of_another_container_says_nothing() -> None:
    beat("worker", "elsewhere")
    beat("worker", f"{HERE}2")
    beat("dispatcher")
    assert not lives("worker")


def test_a_database_that_is_away_is_not_the_worker_s_fault() -> None:
    def away(*_: Any) -> None:
        raise OperationalError("server closed the connection")

    with connection.execute_wrapper(away):
        assert lives("worker")


def test_a_web_process_that_does_not_answer_is_not_alive(
    monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("PORT", str(free_port))
    assert not lives("web")


def test_a_web_process_that_answers_is_alive(
    monkeypatch: pytest.MonkeyPatch, live_server: Any
) -> None:
    monkeypatch.setenv("PORT", str(live_server.thread.port))
    assert lives("web")
