"""One process of the system under test, started again whenever it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from config.env import BASE_DIR

STOP_SECONDS = 12.0


class Program:
    """In a session of its own; what its main process leaves behind is killed."""

    def __init__(
        self, name: str, argv: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self._argv = list(argv)
        self._environment = {**os.environ, **environment}
        self._log = log
        self._lock = threading.Lock()
        self._is_wanted = True
        self._popen = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._argv,
                cwd=BASE_DIR,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def keep(self) -> None:
        """Start it again if it ended."""
        with self._lock:
            if self._is_wanted and self._popen.poll() is not None:
                self._dead_letter()
                self._popen = self._start()

    def send(self, number: signal.Signals) -> None:
        """To the main process alone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def send_all(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def stop(self, *, is_patient: bool = True) -> None:
        """For good."""
        self._is_wanted = False
        with self._lock:
            if is_patient:
                self.send(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._popen.wait(STOP_SECONDS)
            self._dead_letter()

    def _dead_letter(self) -> None:
        self.send_all(signal.SIGKILL)
        self._popen.wait()
