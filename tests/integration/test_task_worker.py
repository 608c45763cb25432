"""Django's tasks through a real dispatcher and real workers, which are killed."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from config.env import BASE_DIR
from router.models import Attempt, AttemptResult, FailedTask
from router.task_backend.framework import TaskResultStatus
from router.testing import has_dispatcher, is_settled
from tests.contract import some_tasks
from tests.contract.task_steps import backend, tasks_of
from tests.servers.celery_worker import celery_worker
from tests.servers.granian import database_url
from tests.servers.server import Server
from tests.servers.waiting import wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite has one writer at a time"
    ),
]

SETTINGS = "tests.integration.task_settings"
SECONDS = 120
COUNT = 40
QUICK = {"lease_seconds": 5, "time_limit_seconds": 4, "webhook_deadline_seconds": 3}


@pytest.fixture
def environment(broker_url: str) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "ROUTER": json.dumps(QUICK),
        "BROKER_URL": broker_url,
    }


@pytest.fixture
def start_worker(
    transactional_db: None,
    environment: dict[str, str],
    broker_url: str,
    tmp_path: Path,
) -> Iterator[Any]:
    """`start_worker()`: one more, beside a dispatcher; their queues are registered."""
    own = {**os.environ, **environment, "DATABASE_URL": database_url()}
    with ExitStack() as stack:
        exact = backend("default", is_transactional=True)
        stack.enter_context(tasks_of(default=backend("default"), exact=exact))
        dispatcher = Server(
            [sys.executable, "manage.py", "dispatch"],
            tmp_path / "dispatcher.log",
            env={**own, "PYTHONDEVMODE": ""},
            cwd=BASE_DIR,
        )
        stack.callback(dispatcher.kill)
        wait_until(has_dispatcher)

        def start() -> Server:
            folder = tmp_path / f"worker{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            worker: Server = stack.enter_context(
                celery_worker(
                    folder, broker_url, pool="prefork", environment=environment
                )
            )
            stack.callback(worker.kill)
            return worker

        yield start


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_tasks_outlive_a_child_and_a_worker_that_are_killed(
    start_worker: Any, tmp_path: Path
) -> None:
    path = tmp_path / "lines"
    died, began, released = (tmp_path / name for name in ("died", "began", "released"))
    with transaction.atomic():
        poison = some_tasks.append.enqueue(str(path), "poison", die_once=str(died))
        held = some_tasks.hold.enqueue(str(began), str(released))
        for n in range(COUNT):
            some_tasks.append.enqueue(str(path), str(n))
            some_tasks.make_user.using(backend="exact").enqueue(f"user-{n}")

    worker = start_worker()
    wait_until(lambda: died.exists() and began.exists(), SECONDS)
    worker.send_all(signal.SIGKILL)
    released.touch()
    some_tasks.append.enqueue(str(path), "after")
    start_worker()
    wait_until(is_settled, SECONDS)

    # At least once.
    assert set(lines(path)) == {*map(str, range(COUNT)), "poison", "after"}
    for task, result in ((some_tasks.append, poison), (some_tasks.hold, held)):
        found = task.get_result(result.id)
        assert found.status == TaskResultStatus.SUCCESSFUL
        assert found.attempts >= 2
    # Exactly once, for effects in the same database: a second user of that name fails.
    assert User.objects.count() == COUNT
    assert not FailedTask.objects.exists()
    assert not Attempt.objects.filter(result=AttemptResult.RETRY).exists()
