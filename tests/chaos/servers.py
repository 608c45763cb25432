"""The real servers of a run, which faults kill, freeze and start again."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import psutil
import psycopg
from kombu import Connection

from tests.servers.postgresql import PostgreSQL, database_of_its_own
from tests.servers.server import Server
from tests.servers.unavailable import Unavailable

START_AGAIN_SECONDS = 60.0
STOP_SECONDS = 10.0
QUEUES = ("router.default", "router.slow", "router.webhooks", "celery")


class Startable(Protocol):
    url: str
    server: Server

    def start(self) -> Server: ...


def start_again(server: Startable) -> None:
    """A PostgreSQL refuses while the killed one's children still end."""
    deadline = time.monotonic() + START_AGAIN_SECONDS
    while True:
        try:
            server.start()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def kill(server: Startable) -> None:
    """All of it at once; RabbitMQ's main process is a mere shell."""
    processes = _family(server)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=START_AGAIN_SECONDS)
    server.server.kill()


def stop(server: Startable) -> None:
    """As a machine does that goes down in good order."""
    processes = _family(server)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    psutil.wait_procs(processes, timeout=STOP_SECONDS)
    kill(server)


def _family(server: Startable) -> list[psutil.Process]:
    try:
        main = psutil.Process(server.server.pid)
        return [main, *main.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def freeze(server: Startable, seconds: float) -> None:
    """All of its processes stand still for so long."""
    processes = _family(server)
    for number, pause in ((signal.SIGSTOP, seconds), (signal.SIGCONT, 0.0)):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
        time.sleep(pause)


def flush(broker: Startable) -> None:
    """Everything that waits in the broker is gone."""
    with Connection(broker.url) as connection:
        if broker.url.startswith("redis"):
            channel: Any = connection.default_channel
            channel.client.flushall()
            return
        for queue in QUEUES:
            with contextlib.suppress(*connection.channel_errors):
                channel = connection.channel()
                channel.queue_purge(queue)


def terminate_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def hold_lock(path: Path, seconds: float) -> None:
    """Nobody else writes to this SQLite database for so long."""
    with contextlib.closing(sqlite3.connect(path, timeout=20)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        connection.rollback()


class Servers:
    """Started when first asked for, and kept for the cells that follow."""

    def __init__(self, stack: ExitStack, *, is_durable: bool = False) -> None:
        self._stack = stack
        self._is_durable = is_durable
        self._brokers: dict[str, Startable] = {}
        self._postgresql: PostgreSQL | None = None

    def broker(self, name: str) -> Startable:
        if name not in self._brokers:
            module = f"tests.servers.{name}"
            if find_spec(module) is None:
                raise Unavailable(f"there is no {module}")
            made = getattr(import_module(module), name)()
            self._brokers[name] = self._stack.enter_context(made)
        flush(self._brokers[name])
        return self._brokers[name]

    def postgresql(self) -> PostgreSQL:
        if self._postgresql is None:
            folder = TemporaryDirectory(
                prefix="fanfare-chaos-", ignore_cleanup_errors=True
            )
            made = PostgreSQL(
                Path(self._stack.enter_context(folder)), is_durable=self._is_durable
            )
            self._stack.callback(lambda: made.server.stop(signal.SIGINT))
            self._postgresql = made
        return self._postgresql

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """The URL of an empty database; "" is SQLite in the cell's own folder."""
        if name == "sqlite":
            yield ""
        else:
            with database_of_its_own(self.postgresql().url) as url:
                yield url


@contextmanager
def servers(*, is_durable: bool = False) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack, is_durable=is_durable)
