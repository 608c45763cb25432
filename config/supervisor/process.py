"""One supervised program: its own session, its lines with its name."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess  # nosec B404  # the programs of `up`
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from config.env import BASE_DIR
from config.supervisor.output import Output
from config.supervisor.will import Will


class Role(IntEnum):
    """Who stops before whom: producers first, the broker last."""

    WEB = 0
    PAYMENTS = 1
    DISPATCHER = 2
    WORKER = 3
    BROKER = 4


@dataclass(frozen=True, kw_only=True)
class Program:
    name: str
    role: Role
    argv: Sequence[str]
    grace_seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Parts of lines that tell a person nothing.
    noise: Sequence[str] = ()


class Process:
    """A program that runs, ran, or will run again."""

    def __init__(self, program: Program, output: Output, will: Will) -> None:
        self.program = program
        self.started_at = 0.0
        self._output = output
        self._will = will
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._popen = popen = subprocess.Popen(  # nosec B603  # a list of our own words, no shell
            self.program.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=BASE_DIR,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.program.environment},
        )
        self._will.add(popen.pid)
        self.started_at = time.monotonic()
        threading.Thread(
            target=self._output.stream,
            args=(self.program.name, popen.stdout, self.program.noise),
            daemon=True,
        ).start()

    @property
    def pid(self) -> int | None:
        return None if self._popen is None else self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; below zero the signal that ended it."""
        return None if self._popen is None else self._popen.poll()

    @property
    def is_running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def ask_to_stop(self) -> None:
        # The main process alone: Celery's children must finish what they hold.
        if self._popen is not None and self.is_running:
            self._popen.terminate()

    def bury(self) -> None:
        """Kill what is left of the session, so that no child is orphaned."""
        if self._popen is None:
            return
        with contextlib.suppress(OSError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        self._will.remove(self._popen.pid)
        self._popen = None
