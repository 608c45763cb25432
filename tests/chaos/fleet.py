"""All processes of one cell: publishers, dispatchers, workers."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.cells import Cell
from tests.chaos.program import Program
from tests.servers.waiting import free_port

KEEP_SECONDS = 0.1
QUEUES = "router.default,router.slow,router.webhooks"
CONCURRENCY = 2
#: Of each kind, so that one is left when the other is hit.
COUNT = 2


_Argv = Callable[[Cell, str], list[str]]


class Fleet:
    """Two of each; a thread starts again whatever ended."""

    def __init__(self, cell: Cell, folder: Path, environment: Mapping[str, str]):
        self.cell = cell
        self._folder = folder
        self._environment = environment
        self._end = threading.Event()
        self.workers = self._several("worker", _worker)
        self.dispatchers = [] if cell.is_naive else self._several("dispatcher", _serve)
        self.publishers: list[Program] = []
        self.webs: list[Program] = []
        self.pullers: list[Program] = []
        self.receivers: list[Program] = []
        if not cell.is_naive:
            self._start_outside()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def open_shop(self) -> None:
        self.publishers = self._several("publisher", _publish)

    def close_shop(self) -> None:
        for program in self.publishers:
            program.stop()

    def everything(self) -> list[Program]:
        ours = [*self.publishers, *self.dispatchers, *self.workers, *self.webs]
        return [*ours, *self.pullers, *self.receivers]

    def stop(self) -> None:
        self._end.set()
        self._keeper.join()
        for program in self.everything():
            program.stop(is_patient=False)

    def _start_outside(self) -> None:
        """Subscribers that are not of the house, and the door that they knock at."""
        self.webs = self._several("web", _web, count=1)
        self.pullers = self._several("puller", _pull)
        self.receivers = self._several("receiver", _receive, count=1)

    def _several(self, kind: str, argv: _Argv, count: int = COUNT) -> list[Program]:
        names = [f"{kind}{number}" for number in range(1, count + 1)]
        return [
            Program(
                name,
                argv(self.cell, name),
                self._environment,
                self._folder / f"{name}.log",
            )
            for name in names
        ]

    def _keep(self) -> None:
        while not self._end.wait(KEEP_SECONDS):
            for program in self.everything():
                program.keep()


@contextmanager
def running(
    cell: Cell, folder: Path, environment: Mapping[str, str]
) -> Iterator[Fleet]:
    fleet = Fleet(cell, folder, environment)
    try:
        yield fleet
    finally:
        fleet.stop()


def _serve(cell: Cell, name: str) -> list[str]:
    return [sys.executable, "manage.py", "dispatch"]


def _publish(cell: Cell, name: str) -> list[str]:
    return [sys.executable, "manage.py", "chaos_publish", name]


def _pull(cell: Cell, name: str) -> list[str]:
    return [sys.executable, "manage.py", "chaos_pull"]


def _receive(cell: Cell, name: str) -> list[str]:
    return [sys.executable, "manage.py", "chaos_receive"]


def _web(cell: Cell, name: str) -> list[str]:
    # Its port is in the environment.
    options = "--interface wsgi --host 127.0.0.1 --no-ws --workers 1"
    options += " --blocking-threads 8 --log-level error"
    application = "tests.chaos.project.wsgi:application"
    return [sys.executable, "-m", "granian", *options.split(), application]


def _worker(cell: Cell, name: str) -> list[str]:
    app = "tests.chaos.project.naive" if cell.is_naive else "config"
    queues = [] if cell.is_naive else ["-Q", QUEUES]
    options = f"-n {name}@%h --pool {cell.pool} --concurrency {CONCURRENCY}"
    options += " --without-gossip --without-mingle --loglevel WARNING"
    command = [sys.executable, "-m", "celery", "-A", app, "--quiet", "worker"]
    return [*command, *queues, *options.split()]


def environment_of(cell: Cell, folder: Path, **urls: str) -> dict[str, str]:
    """What every process of the cell is told."""
    given = os.environ.get("PYTHONWARNINGS")
    web_port = str(free_port())
    quiet = ",".join(filter(None, [given, "ignore:::celery.platforms"]))
    return {
        "DJANGO_SETTINGS_MODULE": "tests.chaos.project.settings",
        "DEBUG": "true",
        "VAR_DIR": str(folder),
        "CHAOS_DIR": str(folder),
        "CHAOS_NAIVE": "1" if cell.is_naive else "",
        "PYTHONDEVMODE": "",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": quiet,
        "CHAOS_RECEIVER_PORT": str(free_port()),
        "CHAOS_WEB_PORT": web_port,
        "GRANIAN_PORT": web_port,
        **urls,
    }
