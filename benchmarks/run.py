"""One contestant on an empty database and broker: publishers, dispatchers, workers."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg

from benchmarks import results
from benchmarks.bench import Bench, environment
from benchmarks.contenders import (
    PUBLISHER,
    Contestant,
    Setup,
    worker_argv,
    worker_count,
)
from benchmarks.processes import Running, cpu_seconds, rss_mib
from benchmarks.recorder import FLUSH_SECONDS
from benchmarks.scenario import Act
from tests.servers.on_demand import Startable
from tests.servers.waiting import wait_until

READY_SECONDS = 60.0
PUBLISH_SECONDS = 900.0
LOOK_SECONDS = 0.05
BEATING = "SELECT count(*) FROM router_heartbeat WHERE kind = 'dispatcher'"


class NotDone(Exception):
    """Something was never done: the run does not count."""


class Stage:
    """Made by `on_stage`; everything on it is stopped at the end."""

    def __init__(
        self, bench: Bench, one: Contestant, setup: Setup, database_url: str
    ) -> None:
        self.one, self.setup = one, setup
        self.folder = bench.new_folder()
        self._bench = bench
        self._url = database_url
        self._broker: Startable | None = (
            bench.broker(setup.broker) if one.uses_broker() else None
        )
        self._environment = environment(
            one,
            setup,
            self.folder,
            database_url=database_url,
            broker_url=self._broker.url if self._broker else "",
            node_modules=bench.node_modules,
        )
        self._running: list[Running] = []

    def start(self) -> float:
        """Start workers, then dispatchers; returns when all workers were ready."""
        setups = [self.setup] * worker_count(self.one, self.setup)
        for queue in self.setup.other_queues:
            setups.append(self.setup.but(queues=queue, workers=1))
        python = self.one.python(self._bench.peers)
        for number, setup in enumerate(setups):
            name = f"worker{number}"
            self._add("worker", worker_argv(self.one, setup, name, python), name)
        count = len(setups)
        self._wait(
            lambda: len(results.ready_times(self.folder)) == count, READY_SECONDS
        )
        if self.one.dispatcher:
            for number in range(self.setup.dispatchers):
                argv = [sys.executable, *self.one.dispatcher]
                self._add("dispatcher", argv, f"dispatcher{number}")
        return max(results.ready_times(self.folder))

    def wait_for_dispatchers(self) -> None:
        """Until all of them are at work."""
        if self.one.dispatcher:
            self._wait(
                lambda: self.ask(BEATING)[0] >= self.setup.dispatchers, READY_SECONDS
            )

    def act(self, name: str, **options: Any) -> list[dict[str, Any]]:
        """Let publishers do an `Act` to its end; returns what each told."""
        act = Act(name=name, **options)
        self._forget_publishers()
        publishers = [self._publisher(act, number) for number in range(act.publishers)]
        self._wait(
            lambda: len(list(self.folder.glob("waiting-*"))) == act.waiting_count,
            READY_SECONDS,
        )
        (self.folder / "go").touch()
        self._wait(lambda: all(one.has_ended() for one in publishers), PUBLISH_SECONDS)
        self._running = [one for one in self._running if one not in publishers]
        return results.by_publishers(self.folder)

    def _forget_publishers(self) -> None:
        for pattern in ("told-*", "waiting-*", "go"):
            for path in self.folder.glob(pattern):
                path.unlink()

    def _publisher(self, act: Act, number: int) -> Running:
        python = self.one.python(self._bench.peers)
        argv = [python, "-m", "benchmarks.program"]
        argv += act.argv(self.one.module, number)
        return self._add(PUBLISHER, argv, f"{PUBLISHER}{number}")

    def wait_done(
        self, expected: int, *, since: float = 0.0, seconds: float
    ) -> results.Finished:
        """Until the books show `expected` done after `since`. Raises `NotDone`."""
        deadline = time.monotonic() + seconds
        while self.is_open(expected):
            for one in self._running:
                one.check_runs()
            if time.monotonic() > deadline:
                raise NotDone(self._why(expected))
            time.sleep(LOOK_SECONDS)
        if self.finished(0.0).count < expected:
            raise NotDone(self._why(expected))
        found = self.finished(since)
        if self.one.keeps_books or self.one.books is None:
            return found
        # It is done when its table is empty, not when the last handler began.
        return replace(found, last_at=time.time())

    def _why(self, expected: int) -> str:
        done = self.finished(0.0).count
        return f"{self.one.title}: only {done:,} of {expected:,} were done"

    def is_open(self, expected: int) -> bool:
        if not self.one.keeps_books and self.finished(0.0).count < expected:
            return True
        return self.one.books is not None and bool(self.ask(self.one.books.is_open)[0])

    def finished(self, since: float) -> results.Finished:
        if not self.one.keeps_books:
            return results.counted(self.folder, since)
        count, first_at, last_at = self.ask(self.one.books.done, since)
        return results.Finished(
            count=count, first_at=first_at or 0.0, last_at=last_at or 0.0
        )

    def ask(self, statement: str, *values: object) -> tuple[Any, ...]:
        """The first row of an answer of the contestant's database."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            row = connection.execute(statement.encode(), values or None).fetchone()
        return row or ()

    def waits(self) -> list[results.Wait]:
        """From publishing to handler, when all is done and written down."""
        time.sleep(5 * FLUSH_SECONDS)
        return results.waits(self.folder)

    def pids(self) -> dict[str, list[int]]:
        """Kind of process → the main ones that run now."""
        found: dict[str, list[int]] = {}
        for one in self._running:
            found.setdefault(one.kind, []).append(one.pid)
        if self._url:
            found["database"] = [self._bench.servers.postgresql().server.pid]
        if self._broker:
            found["broker"] = [self._broker.server.pid]
        return found

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by kind of process; publishers tell their own."""
        return {
            kind: sum(map(cpu_seconds, pids))
            for kind, pids in self.pids().items()
            if kind != PUBLISHER
        }

    def rss(self) -> dict[str, float]:
        return {kind: max(map(rss_mib, pids)) for kind, pids in self.pids().items()}

    def _add(self, kind: str, argv: list[str], name: str) -> Running:
        log = self.folder / f"{name}.log"
        self._running.append(Running(kind, argv, self._environment, log))
        return self._running[-1]

    def _wait(self, condition: Any, seconds: float) -> None:
        def holds() -> bool:
            for one in self._running:
                one.has_ended() if one.kind == PUBLISHER else one.check_runs()
            return bool(condition())

        wait_until(holds, seconds)

    def stop(self) -> None:
        for one in self._running:
            one.kill()


@contextmanager
def on_stage(
    bench: Bench, one: Contestant, setup: Setup, *, template: str = ""
) -> Iterator[Stage]:
    with bench.database(one, template=template) as url:
        stage = Stage(bench, one, setup, url)
        try:
            yield stage
        finally:
            stage.stop()
