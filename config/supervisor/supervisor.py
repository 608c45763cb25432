"""The life of `manage.py up`, from the first check to the last program's end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from types import FrameType

from config.env import Environment, embedded_broker_socket
from config.second_terminal import recorded
from config.supervisor import preflight
from config.supervisor.output import print_line, print_summary
from config.supervisor.processes import (
    READY_SECONDS,
    Failed,
    Process,
    Program,
    Role,
    programs,
)
from config.supervisor.readiness import Site, Watchdog, valkey_answers
from config.supervisor.reaper import Reaper

LOOK_SECONDS = 0.1
BROKER_READY_SECONDS = 15.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class StopRequest:
    """Counts the signals that ask to stop: Ctrl-C, SIGTERM, a terminal that went away.

    While `interrupts` is set a signal raises `KeyboardInterrupt`, so that a long
    preparation ends at once; after that no start is cut in half.
    """

    def __init__(self) -> None:
        self.count = 0
        self.interrupts = True
        for number in STOP_SIGNALS:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.interrupts:
            raise KeyboardInterrupt


def run(environment: Environment, stop: StopRequest, check: Callable[[], None]) -> None:
    """Start everything and keep it running until a signal asks to stop.

    Raises `CannotStart` before anything was started, and `Failed` after everything was
    stopped.
    """
    var_dir = environment.var_dir.resolve()
    site = Site(str(environment.listen_address), environment.port)
    # All that this process and its programs write is for their own account.
    os.umask(0o077)
    with preflight.only_one(var_dir):
        for warning in preflight.make_private(var_dir):
            print_line("up", warning)
        preflight.check_port(site.listen_address, site.port)
        preflight.check_database()
        broker = preflight.broker(environment.broker_url, var_dir)
        check()
        preflight.prepare()
        # The same answers in every program, wherever it was started from.
        os.environ.update(VAR_DIR=str(var_dir), PORT=str(site.port))
        stop.interrupts = False
        with recorded():
            Supervisor(site, stop).run(broker, var_dir)


class Supervisor:
    """Keeps every program running, and stops them all in order."""

    def __init__(self, site: Site, stop: StopRequest) -> None:
        self._site = site
        self._stop = stop
        self._reaper = Reaper()
        self._processes: list[Process] = []

    def run(self, broker: Program | None, var_dir: Path) -> None:
        """Start, wait, watch, stop; whatever happens, leave nothing running."""
        try:
            if broker is not None:
                self._start_broker(broker, embedded_broker_socket(var_dir))
            self._start_programs()
            if not self._stop.count:
                print_summary(self._site.url, var_dir)
            self._watch()
        finally:
            self._stop_all()

    def _start_broker(self, broker: Program, socket: Path) -> None:
        self._processes.append(Process(broker, self._reaper))
        self._wait(
            lambda: valkey_answers(socket),
            seconds=BROKER_READY_SECONDS,
            missing=lambda: "the embedded broker does not answer",
        )

    def _start_programs(self) -> None:
        print_line("up", f"starting at {self._site.url}")
        for program in programs(self._site.listen_address, self._site.port):
            if not self._stop.count:
                self._processes.append(Process(program, self._reaper))
        self._wait(
            self._site.is_ready, seconds=READY_SECONDS, missing=self._site.missing
        )

    def _wait(
        self,
        is_done: Callable[[], bool],
        *,
        seconds: float,
        missing: Callable[[], str],
    ) -> None:
        deadline = time.monotonic() + seconds
        while not self._stop.count and not is_done():
            if time.monotonic() > deadline:
                raise Failed(f"Not ready after {seconds:.0f} s: {missing()}.")
            self._look()

    def _watch(self) -> None:
        watchdog = Watchdog(self._site, self._processes)
        try:
            while not self._stop.count:
                self._look()
        finally:
            watchdog.end()

    def _look(self) -> None:
        for process in self._processes:
            process.keep_running()
        time.sleep(LOOK_SECONDS)

    def _stop_all(self) -> None:
        by_role = sorted(self._processes, key=_role)
        names = ", ".join(process.program.name for process in by_role)
        print_line("up", f"stopping: {names}")
        if not self._site.lives():
            # Nothing is in flight, and granian ignores signals while it starts.
            for process in self._processes:
                if process.program.role is Role.WEB:
                    process.end()
        for _, processes in groupby(by_role, key=_role):
            self._stop_together(list(processes))
        self._reaper.close()
        print_line("up", "stopped, nothing is left running")

    def _stop_together(self, processes: list[Process]) -> None:
        for process in processes:
            process.terminate()
        grace = max(process.program.grace_seconds for process in processes)
        deadline = time.monotonic() + grace
        # A second signal means: at once.
        while any(process.is_running for process in processes):
            if time.monotonic() > deadline or self._stop.count > 1:
                break
            time.sleep(LOOK_SECONDS / 2)
        for process in processes:
            if process.is_running:
                print_line("up", f"{process.program.name} does not stop: killed")
            process.end()


def _role(process: Process) -> Role:
    return process.program.role
