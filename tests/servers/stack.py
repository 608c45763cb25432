"""The real thing for acceptance and browser tests: `manage.py up` on its own state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from config.env import BASE_DIR
from tests.servers.migrated import copy_migrated
from tests.servers.waiting import free_port, wait_until

READY = "Fanfare is ready"
START_SECONDS = 240
STOP_SECONDS = 120
#: Name of a program → what its command line alone contains.
PROGRAMS = {
    "broker": "valkey.sock",
    "web": "granian",
    "payments": "settle_payments",
    "dispatcher": "dispatch",
    "worker": "worker@",
    "slow": "slow@",
    "webhooks": "webhooks@",
}


class Stack:
    """One `manage.py up` with its own folder, port and session."""

    def __init__(self, folder: Path, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.var_dir = folder / "var"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "up.log"
        self.environment = self._own_environment(environment)
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start it (again), without waiting."""
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=BASE_DIR,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.process

    def wait_ready(self) -> None:
        self.wait_for_log(READY)

    def wait_for_log(self, text: str, seconds: float = START_SECONDS) -> None:
        """Until `up` said so; fails at once when it ended instead."""

        def is_said() -> bool:
            has_ended = self.process.poll() is not None
            if text in self.log_text():
                return True
            assert not has_ended, f"It ended:\n{self.log_text()}"
            return False

        try:
            wait_until(is_said, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_text()}") from None

    def log_text(self) -> str:
        return self._log.read_text(errors="replace")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the supervisor to stop and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def manage(self, *arguments: str) -> str:
        """The output of a management command on the same state."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=BASE_DIR,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def find(self, name: str) -> psutil.Process | None:
        """The main process of one program, while it runs."""
        for child in psutil.Process(self.process.pid).children():
            if PROGRAMS[name] in " ".join(_command_line(child)):
                return child
        return None

    def kill(
        self, name: str, number: signal.Signals = signal.SIGKILL
    ) -> psutil.Process:
        """Send a signal to one program's main process alone."""
        process = self.find(name)
        assert process is not None, f"{name} does not run"
        process.send_signal(number)
        return process

    def everything(self) -> list[psutil.Process]:
        """The supervisor and all that it started, directly or not."""
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def _own_environment(self, changes: Mapping[str, str]) -> dict[str, str]:
        own = {
            "DEBUG": "true",
            "VAR_DIR": str(self.var_dir),
            "PORT": str(self.port),
            "DATABASE_URL": "",
            "BROKER_URL": "",
            # It would make every start of every program slower.
            "PYTHONDEVMODE": "",
        }
        return {**os.environ, **own, **changes}


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Stack]:
    """A stack that is ready; stopped afterwards, and nothing of it is left.

    On SQLite it finds a migrated database, as at each start but its first.
    """
    (folder / "var").mkdir(mode=0o700, exist_ok=True)
    if not environment.get("DATABASE_URL"):
        copy_migrated(folder / "var" / "fanfare.sqlite3")
    stack = Stack(folder, **environment)
    try:
        stack.wait_ready()
        yield stack
    finally:
        stack.stop()
