"""All processes of one cell: publishers, dispatchers, workers, bridges, and more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from config.env import BASE_DIR
from tests.chaos.cells import Cell
from tests.chaos.foreign import BRIDGE
from tests.chaos.program import Program, Programs
from tests.servers.granian import granian_argv
from tests.servers.waiting import free_port

QUEUES = "router.default,router.slow,router.webhooks"
CONCURRENCY = 2
#: Of each kind, so that one is left when the other is hit.
COUNT = 2


class Fleet(Programs):
    """The programs of one cell, by their kinds."""

    def __init__(self, cell: Cell, folder: Path, environment: Mapping[str, str]):
        super().__init__(folder, environment)
        self.cell = cell
        self.publishers: list[Program] = []
        #: Of another shop, which is not broken.
        self._sellers: list[Program] = []
        self.dispatchers: list[Program] = []
        self.workers = [
            self.add(name, worker_argv(cell, name)) for name in _names("worker")
        ]
        if not cell.is_naive:
            self._start_router()

    def _start_router(self) -> None:
        """What plain Celery lacks; the web process serves the pullers."""
        web_port = int(self.environment["CHAOS_WEB_PORT"])
        self.dispatchers = [
            self.add(name, manage_argv("dispatch")) for name in _names("dispatcher")
        ]
        self.webs = [self.add("web1", granian_argv(web_port))]
        self.pullers = [
            self.add(name, manage_argv("chaos_pull")) for name in _names("puller")
        ]
        self.bridges = [
            self.add(name, manage_argv("bridge", BRIDGE)) for name in _names("bridge")
        ]
        self.add("receiver1", manage_argv("chaos_receive"))

    def open_shop(self) -> None:
        self.publishers = [
            self.add(name, manage_argv("chaos_publish", name))
            for name in _names("publisher")
        ]
        if not self.cell.is_naive:
            self._sellers = [self.add("seller1", manage_argv("chaos_send"))]

    def close_shop(self) -> None:
        for program in (*self.publishers, *self._sellers):
            program.stop()


@contextmanager
def running(
    cell: Cell, folder: Path, environment: Mapping[str, str]
) -> Iterator[Fleet]:
    fleet = Fleet(cell, folder, environment)
    try:
        yield fleet
    finally:
        fleet.stop()


def _names(kind: str) -> list[str]:
    return [f"{kind}{number}" for number in range(1, COUNT + 1)]


def manage_argv(*arguments: str) -> list[str]:
    return [sys.executable, "manage.py", *arguments]


def worker_argv(cell: Cell, name: str) -> list[str]:
    app = "tests.chaos.project.naive" if cell.is_naive else "config"
    queues = [] if cell.is_naive else ["-Q", QUEUES]
    options = f"-n {name}@%h --pool {cell.pool} --concurrency {CONCURRENCY}"
    options += " --without-gossip --without-mingle --loglevel WARNING"
    command = [sys.executable, "-m", "celery", "-A", app, "--quiet", "worker"]
    return [*command, *queues, *options.split()]


def environment_of(cell: Cell, folder: Path, **urls: str) -> dict[str, str]:
    """The environment of every process of the cell."""
    given = os.environ.get("PYTHONWARNINGS")
    return {
        "DJANGO_SETTINGS_MODULE": "tests.chaos.project.settings",
        "DEBUG": "true",
        "VAR_DIR": str(folder),
        "CHAOS_DIR": str(folder),
        "CHAOS_NAIVE": "1" if cell.is_naive else "",
        "PYTHONDEVMODE": "",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": ",".join(filter(None, [given, "ignore:::celery.platforms"])),
        "CHAOS_RECEIVER_PORT": str(free_port()),
        "CHAOS_WEB_PORT": str(free_port()),
        **urls,
    }


def manage(
    environment: Mapping[str, str], *arguments: str, folder: Path = BASE_DIR
) -> str:
    """Run a command of the site in `folder` to its end; returns what it printed.

    It holds no lease, and the database gives it as much time as it takes.
    """
    return subprocess.run(
        manage_argv(*arguments),
        cwd=folder,
        env={**os.environ, **environment, "CHAOS_COMMAND": "1"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
