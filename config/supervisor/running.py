"""The life of `manage.py up`, from the first check to the last program's end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from config.env import Environment, embedded_broker_socket
from config.second_terminal import recorded
from config.supervisor import limits, preflight, valkey
from config.supervisor.output import Output
from config.supervisor.preparation import prepare
from config.supervisor.process import Program
from config.supervisor.programs import programs
from config.supervisor.readiness import Site
from config.supervisor.silence import Silence
from config.supervisor.stopping import StopRequest, pause
from config.supervisor.summary import print_summary
from config.supervisor.supervisor import Supervisor


class NotReady(Exception):
    """Something did not become ready in its time."""


def run(environment: Environment, stop: StopRequest, check: Callable[[], None]) -> None:
    """Start everything and keep it running until somebody asks to stop.

    Raises `CannotStart` before anything was started; `TooManyDeaths` and `NotReady`
    after everything was stopped.
    """
    output = Output()
    var_dir = environment.var_dir.resolve()
    site = Site(str(environment.listen_address), environment.port)
    # All that this process and its programs write is for their own account.
    os.umask(0o077)
    with preflight.only_one(var_dir):
        for warning in preflight.make_private(var_dir):
            output.line("up", warning)
        preflight.check_port(str(environment.listen_address), environment.port)
        preflight.check_database()
        socket = embedded_broker_socket(var_dir)
        broker = _broker(environment, socket)
        check()
        prepare(output)
        # The same answers in every program, wherever it was started from.
        os.environ.update(VAR_DIR=str(var_dir), PORT=str(environment.port))
        stop.interrupts = False
        with recorded():
            Run(output, stop, site).supervise(broker, socket, var_dir)


def _broker(environment: Environment, socket: Path) -> Program | None:
    if environment.broker_url:
        preflight.check_broker(environment.broker_url)
        return None
    return valkey.program(preflight.embedded_broker(socket), socket)


class Run:
    def __init__(self, output: Output, stop: StopRequest, site: Site) -> None:
        self._output = output
        self._stop = stop
        self._site = site
        self._supervisor = Supervisor(output, stop)

    def supervise(self, broker: Program | None, socket: Path, var_dir: Path) -> None:
        """Start, wait, watch, stop; whatever happens, leave nothing running."""
        try:
            if broker is not None:
                self._start_broker(broker, socket)
            self._start_programs()
            if not self._stop.is_asked:
                print_summary(self._output.console, self._site.url, var_dir)
            self._watch()
        finally:
            self._output.line(
                "up", "stopping: web, payments, dispatcher, workers, broker"
            )
            if not self._site.lives():
                # Nothing is in flight, and granian is deaf while it starts.
                self._supervisor.kill("web")
            self._supervisor.stop_all()
            self._output.line("up", "stopped, nothing is left running")

    def _start_broker(self, broker: Program, socket: Path) -> None:
        self._supervisor.start(broker)
        self._wait(
            lambda: valkey.answers(socket),
            seconds=limits.BROKER_READY_SECONDS,
            missing=lambda: "the embedded broker does not answer",
        )

    def _start_programs(self) -> None:
        self._output.line("up", f"starting at {self._site.url}")
        for program in programs(self._site.listen_address, self._site.port):
            if not self._stop.is_asked:
                self._supervisor.start(program)
        self._wait(
            self._site.is_ready,
            seconds=limits.READY_SECONDS,
            missing=self._site.what_is_missing,
        )

    def _watch(self) -> None:
        silence = Silence(self._site, self._supervisor.processes)
        silence.listen()
        while not self._stop.is_asked:
            for process in silence.silent():
                name = process.program.name
                self._output.line("up", f"{name} gives no sign of life; it is killed")
                self._supervisor.kill(name)
            self._supervisor.look()
            pause(limits.LOOK_SECONDS)
        silence.end()

    def _wait(
        self,
        is_done: Callable[[], bool],
        *,
        seconds: float,
        missing: Callable[[], str],
    ) -> None:
        deadline = time.monotonic() + seconds
        while not self._stop.is_asked and not is_done():
            if time.monotonic() > deadline:
                raise NotReady(f"Not ready after {seconds:.0f} s: {missing()}.")
            self._supervisor.look()
            pause(limits.LOOK_SECONDS)
