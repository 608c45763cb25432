"""Keeps every program running, and stops them all in order."""

from __future__ import annotations

import signal
import time
from collections import defaultdict, deque
from itertools import groupby

from config.supervisor import limits
from config.supervisor.output import Output
from config.supervisor.process import Process, Program
from config.supervisor.stopping import StopRequest, pause
from config.supervisor.will import Will


class TooManyDeaths(Exception):
    """A program dies again and again."""


class Supervisor:
    def __init__(self, output: Output, stop: StopRequest) -> None:
        self._output = output
        self._stop = stop
        self._will = Will()
        self.processes: list[Process] = []
        self._deaths: dict[str, deque[float]] = defaultdict(deque)
        self._restart_at: dict[str, float] = {}

    def start(self, program: Program) -> None:
        process = Process(program, self._output, self._will)
        self.processes.append(process)
        process.start()

    def look(self) -> None:
        """Start again what died, in its time. Raises `TooManyDeaths`."""
        for process in self.processes:
            name = process.program.name
            if name in self._restart_at:
                self._restart_when_due(process)
            elif not process.is_running:
                self._note_death(process)

    def kill(self, name: str) -> None:
        """End a program and all it started at once; `look` would start it again."""
        for process in self.processes:
            if process.program.name == name:
                process.bury()

    def stop_all(self) -> None:
        """Stop producers first, the broker last; leave nothing running."""
        by_role = sorted(self.processes, key=lambda process: process.program.role)
        for _, together in groupby(by_role, key=lambda process: process.program.role):
            self._stop_together(list(together))
        self._will.close()

    def _stop_together(self, processes: list[Process]) -> None:
        for process in processes:
            process.ask_to_stop()
        patience = max(process.program.grace_seconds for process in processes)
        deadline = time.monotonic() + patience
        while any(process.is_running for process in processes):
            if time.monotonic() > deadline or self._stop.times > 1:
                break
            pause(limits.LOOK_SECONDS / 2)
        for process in processes:
            if process.is_running:
                self._output.line("up", f"{process.program.name} does not stop: killed")
            process.bury()

    def _note_death(self, process: Process) -> None:
        name, now = process.program.name, time.monotonic()
        end = _how(process.exit_code)
        process.bury()
        recent = self._deaths[name]
        recent.append(now)
        while now - recent[0] > limits.DEATHS_SECONDS:
            recent.popleft()
        if len(recent) >= limits.DEATHS_MAXIMUM:
            raise TooManyDeaths(
                f"{name} {end}, for the {len(recent)}th time within "
                f"{limits.DEATHS_SECONDS:.0f} s: everything stops. Its lines say why."
            )
        wait = _backoff(len(recent))
        self._restart_at[name] = now + wait
        self._output.line("up", f"{name} {end}; starts again in {wait:.2g} s")

    def _restart_when_due(self, process: Process) -> None:
        if time.monotonic() >= self._restart_at[process.program.name]:
            del self._restart_at[process.program.name]
            process.start()


def _backoff(deaths: int) -> float:
    wait = limits.RESTART_FIRST_SECONDS * 2.0 ** (deaths - 1)
    return min(wait, limits.RESTART_MAXIMUM_SECONDS)


def _how(exit_code: int | None) -> str:
    if exit_code is None:
        return "was killed"
    if exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
