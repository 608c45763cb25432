"""One contender on an empty database and broker: publishers, dispatchers, workers."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from benchmarks import results
from benchmarks.bench import Bench, database_name, environment
from benchmarks.contenders import (
    PUBLISHER,
    Contender,
    Setup,
    worker_argv,
    worker_count,
)
from benchmarks.processes import Process, cpu_seconds, rss_mib
from benchmarks.progress import first_row, progress_of
from benchmarks.recorder import FLUSH_SECONDS
from benchmarks.scenario import Scenario
from tests.servers.waiting import wait_until

READY_SECONDS = 60.0
PUBLISH_SECONDS = 900.0
LOOK_SECONDS = 0.05


class NotDone(Exception):
    """Some work was never done: the run does not count."""


class Run:
    """Made by `running`, which stops all its processes at the end."""

    def __init__(
        self, bench: Bench, contender: Contender, setup: Setup, database_url: str
    ) -> None:
        self.contender, self.setup = contender, setup
        self.folder = bench.new_folder()
        self._bench = bench
        self._url = database_url
        self._progress = progress_of(contender, database_url)
        self._broker = bench.broker(setup.broker) if contender.uses_broker() else None
        self._environment = environment(
            contender,
            setup,
            self.folder,
            database_url=database_url,
            broker_url=self._broker.url if self._broker else "",
            node_modules=bench.node_modules,
        )
        self._processes: list[Process] = []

    def start(self) -> float:
        """Start workers, then dispatchers; returns when all workers were ready."""
        setups = [self.setup] * worker_count(self.contender, self.setup)
        for queue in self.setup.other_queues:
            setups.append(self.setup.but(queues=queue, workers=1))
        python = self.contender.python(self._bench.peers)
        for number, setup in enumerate(setups):
            name = f"worker{number}"
            self._add("worker", worker_argv(self.contender, setup, name, python), name)
        self.wait(lambda: len(results.ready_times(self.folder)) == len(setups))
        if self.contender.dispatcher:
            self.start_dispatchers()
        return max(results.ready_times(self.folder))

    def start_dispatchers(self) -> None:
        """Start what runs beside the workers."""
        for number in range(self.setup.dispatchers):
            argv = [sys.executable, *self.contender.dispatcher]
            self._add("dispatcher", argv, f"dispatcher{number}")

    def start_web(self, application: str, port: int) -> None:
        """Start a web process with this application, and wait until it answers."""
        argv = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws"]
        argv += ["--http", "1", "--workers", "1", "--log-level", "error"]
        argv += ["--host", "127.0.0.1", "--port", str(port), application]
        self._add("web", argv, "web")
        self.wait(lambda: _is_listening(port))

    def wait_for_dispatcher(self) -> None:
        """Wait until a dispatcher works, where the contender has one."""
        if self._progress and self.contender.dispatcher:
            self.wait(self._progress.has_dispatcher)

    def play(self, name: str, **options: Any) -> list[dict[str, Any]]:
        """Let publishers play a `Scenario` to its end; returns the result of each."""
        scenario = Scenario(name=name, **options)
        for pattern in ("result-*", "waiting-*", "go"):
            for path in self.folder.glob(pattern):
                path.unlink()
        publishers = [
            self._publisher(scenario, number) for number in range(scenario.publishers)
        ]
        self.wait(
            lambda: len(list(self.folder.glob("waiting-*"))) == scenario.waiting_count
        )
        (self.folder / "go").touch()
        self.wait(
            lambda: all(publisher.has_succeeded() for publisher in publishers),
            PUBLISH_SECONDS,
        )
        self._processes = [
            process for process in self._processes if process not in publishers
        ]
        return results.publisher_results(self.folder)

    def _publisher(self, scenario: Scenario, number: int) -> Process:
        python = self.contender.python(self._bench.peers)
        argv = [python, "-m", "benchmarks.program"]
        argv += scenario.argv(self.contender.module, number)
        return self._add(PUBLISHER, argv, f"{PUBLISHER}{number}")

    def wait_done(
        self, expected: int, *, since: float = 0.0, seconds: float
    ) -> results.Finished:
        """Wait until `expected` are done, and return those done after `since`.

        Raises `NotDone`.
        """
        deadline = time.monotonic() + seconds
        while self._is_open(expected):
            if time.monotonic() > deadline:
                count, title = self.finished(0.0).count, self.contender.title
                raise NotDone(f"{title}: only {count:,} of {expected:,} were done")
            for process in self._processes:
                process.check_runs()
            time.sleep(LOOK_SECONDS)
        finished = self.finished(since)
        if self.contender.remembers or self._progress is None:
            return finished
        # It is done when its table is empty, not when the last handler began.
        return replace(finished, last_at=time.time())

    def _is_open(self, expected: int) -> bool:
        if not self.contender.remembers and self.finished(0.0).count < expected:
            return True
        return self.is_open()

    def is_open(self) -> bool:
        """Whether the database knows of work that is still to be done."""
        return self._progress is not None and self._progress.is_open()

    def finished(self, since: float) -> results.Finished:
        if self._progress and self.contender.remembers:
            return self._progress.finished(since)
        return results.counted(self.folder, since)

    def after_first(self, done: results.Finished) -> tuple[int, float]:
        """How many of these were done after the first acknowledgement, and in how many
        seconds: the work of the first chunk began before there was a time to count
        from."""
        later = self.finished(done.first_at).count
        # All of a tiny backlog may be one chunk.
        return later or done.count, done.last_at - done.first_at

    def ask(self, statement: str) -> Any:
        """The first value of an answer of the contender's database."""
        return first_row(self._url, statement)[0]

    def waits(self) -> list[results.Wait]:
        """From publishing to handler, once the workers have written them down."""
        time.sleep(5 * FLUSH_SECONDS)
        return results.waits(self.folder)

    def pids(self) -> dict[str, list[int]]:
        """Kind of process → the main processes that run now."""
        pids: dict[str, list[int]] = {}
        for process in self._processes:
            pids.setdefault(process.kind, []).append(process.pid)
        if self._url:
            pids["database"] = [self._bench.servers.postgresql().server.pid]
        if self._broker:
            pids["broker"] = [self._broker.server.pid]
        return pids

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by kind of process; publishers measure their own."""
        return {
            kind: sum(map(cpu_seconds, pids))
            for kind, pids in self.pids().items()
            if kind != PUBLISHER
        }

    def rss(self) -> dict[str, float]:
        return {kind: max(map(rss_mib, pids)) for kind, pids in self.pids().items()}

    def _add(self, kind: str, argv: list[str], name: str) -> Process:
        log = self.folder / f"{name}.log"
        self._processes.append(Process(kind, argv, self._environment, log))
        return self._processes[-1]

    def wait(
        self, condition: Callable[[], bool], seconds: float = READY_SECONDS
    ) -> None:
        """Wait until it holds, or a process of the run has ended."""

        def holds() -> bool:
            for process in self._processes:
                if process.kind == PUBLISHER:
                    process.has_succeeded()
                else:
                    process.check_runs()
            return condition()

        wait_until(holds, seconds)

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
        if self._progress:
            self._progress.close()


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(
    bench: Bench, contender: Contender, setup: Setup, *, template: str = ""
) -> Iterator[Run]:
    with bench.database(contender, template=template) as url:
        run = Run(bench, contender, setup, url)
        try:
            yield run
        finally:
            run.stop()


@contextmanager
def prepared(
    bench: Bench,
    contender: Contender,
    scenario: str,
    *,
    template: str = "",
    **options: Any,
) -> Iterator[str]:
    """The name of a database after this scenario, for runs to copy."""
    with bench.database(contender, template=template) as url:
        run = Run(bench, contender, Setup(), url)
        try:
            run.play(scenario, **options)
        finally:
            # A database that is copied must have no session.
            run.stop()
        yield database_name(url)
