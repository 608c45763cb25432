"""Runs an example of the docs as a reader would."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from config.env import BASE_DIR
from tests.servers.stack import Stack
from tests.servers.waiting import wait_until

EXAMPLES = BASE_DIR / "docs" / "examples"


@dataclass(frozen=True)
class Program:
    """How an example is started, what it says then, and how it is ended."""

    #: Ends with the file of the example.
    command: Sequence[str]
    greeting: str
    farewell: str = "Stopped"
    ending: signal.Signals = signal.SIGTERM


def in_python(
    name: str, greeting: str, *options: str, python: str = sys.executable
) -> Program:
    """That file of the examples, by an interpreter that has the packages it needs."""
    return Program([python, *options, str(EXAMPLES / f"{name}.py")], greeting)


class Service:
    """An example in a process of its own, with an environment of its own."""

    def __init__(self, program: Program, folder: Path, **environment: str) -> None:
        name = Path(program.command[-1]).stem
        self.database = folder / f"{name}.sqlite3"
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                program.command,
                cwd=folder,
                env={**environment, "DATABASE": str(self.database)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def log_text(self) -> str:
        return self._log.read_text()

    def wait_for_log(self, text: str) -> None:
        def is_said() -> bool:
            assert self.process.poll() is None, self.log_text()
            return text in self.log_text()

        wait_until(is_said)

    def received(self) -> list[Any]:
        return self.rows("SELECT type, subject FROM received")

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(query).fetchall()


@contextmanager
def service(program: Program, folder: Path, **environment: str) -> Iterator[Service]:
    """It is ready; asked to stop afterwards, which must end well."""
    with killed_service(program, folder, **environment) as started:
        yield started
        started.process.send_signal(program.ending)
        assert started.process.wait(60) == 0, started.log_text()
        assert program.farewell in started.log_text()


@contextmanager
def killed_service(
    program: Program, folder: Path, **environment: str
) -> Iterator[Service]:
    """It is ready; killed afterwards, with no time to finish anything."""
    started = Service(program, folder, **environment)
    try:
        started.wait_for_log(program.greeting)
        yield started
    finally:
        started.process.kill()
        started.process.wait()


@contextmanager
def subscribed(stack: Stack, key: str, body: dict[str, Any]) -> Iterator[None]:
    """A subscriber that is created over HTTP with that key, and deleted afterwards."""

    def call(method: str, path: str, content: bytes | None) -> None:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        url = f"{stack.url}/api/subscribers/{path}"
        with urlopen(Request(url, content, headers, method=method), timeout=60):
            """Raises where the answer is no success."""

    call("POST", "", json.dumps(body).encode())
    try:
        yield
    finally:
        call("DELETE", f"{body['name']}/", None)
