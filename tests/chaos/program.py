"""Processes of the system under test that are started again when they have ended."""

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
KEEP_SECONDS = 0.1


class Program:
    """What its main process leaves behind is killed before the next start."""

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        folder: Path = BASE_DIR,
    ) -> None:
        self._argv = argv
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._log = log
        self._lock = threading.Lock()
        self._is_wanted = True
        self.server = self._start()

    def _start(self) -> Server:
        return Server(self._argv, self._log, env=self._environment, cwd=self._folder)

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


class Programs:
    """Programs with one environment; a thread starts again each that ended."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self.environment = environment
        self._programs: list[Program] = []
        self._end = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def add(self, name: str, argv: Sequence[str], folder: Path = BASE_DIR) -> Program:
        """Start it in `folder`, where its code is."""
        log = self._folder / f"{name}.log"
        program = Program(argv, self.environment, log, folder)
        self._programs.append(program)
        return program

    def stop(self) -> None:
        """Kill all of them, for good."""
        self._end.set()
        self._keeper.join()
        for program in self._programs:
            program.kill()

    def _keep(self) -> None:
        while not self._end.wait(KEEP_SECONDS):
            for program in list(self._programs):
                program.keep()
