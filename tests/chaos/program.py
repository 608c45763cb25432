"""A process of the system under test that is started again when it has ended."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from config.env import BASE_DIR
from tests.servers.server import Server

STOP_SECONDS = 12.0


class Program:
    """What its main process leaves behind is killed before the next start."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self._argv = argv
        self._environment = {**os.environ, **environment}
        self._log = log
        self._lock = threading.Lock()
        self._is_wanted = True
        self.server = self._start()

    def _start(self) -> Server:
        return Server(self._argv, self._log, env=self._environment, cwd=BASE_DIR)

    def keep(self) -> None:
        """Start it again if it ended."""
        with self._lock:
            if self._is_wanted and self.server.exit_code() is not None:
                self.server.kill()
                self.server = self._start()

    def children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.server.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def stop(self) -> None:
        """Ask it to end, and do not start it again."""
        self._is_wanted = False
        with self._lock:
            self.server.stop(signal.SIGTERM, STOP_SECONDS)
            self.server.kill()

    def kill(self) -> None:
        self._is_wanted = False
        with self._lock:
            self.server.kill()
