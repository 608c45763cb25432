"""A real worker of the router's, beside the test and on the test's own database."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from config.env import BASE_DIR
from tests.servers.granian import database_url
from tests.servers.server import Server
from tests.servers.waiting import wait_until

START_SECONDS = 60


@contextmanager
def celery_worker(
    folder: Path,
    broker_url: str,
    *,
    pool: str,
    queues: str = "router.default",
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """One that takes the messages of these queues; its log has each task."""
    options = f"-A config --quiet worker -Q {queues} -n test@%h --pool {pool}"
    options += " --concurrency 1 --without-gossip --without-mingle --loglevel INFO"
    worker = Server(
        [sys.executable, "-m", "celery", *options.split()],
        folder / "worker.log",
        env={
            **os.environ,
            "DATABASE_URL": database_url(),
            "BROKER_URL": broker_url,
            "PYTHONDEVMODE": "",
            **(environment or {}),
        },
        cwd=BASE_DIR,
    )

    def is_ready() -> bool:
        worker.check_runs()
        return " ready." in worker.log.read_text()

    try:
        wait_until(is_ready, START_SECONDS)
        yield worker
    finally:
        worker.stop(seconds=30)
