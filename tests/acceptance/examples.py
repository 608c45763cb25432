"""Runs an example of the docs as a reader would."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from config.env import BASE_DIR
from tests.servers.stack import Stack
from tests.servers.waiting import wait_until

EXAMPLES = BASE_DIR / "docs" / "examples"


class Service:
    """An example in a process of its own, with an environment of its own."""

    def __init__(
        self, name: str, folder: Path, *, has_packages: bool, **environment: str
    ) -> None:
        self.database = folder / f"{name}.sqlite3"
        self._log = folder / f"{name}.log"
        # -S: no installed packages.
        options = [] if has_packages else ["-S"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *options, str(EXAMPLES / f"{name}.py")],
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
def service(
    name: str, folder: Path, *, has_packages: bool = False, **environment: str
) -> Iterator[Service]:
    """Asked to stop afterwards, which must end well."""
    started = Service(name, folder, has_packages=has_packages, **environment)
    try:
        yield started
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(60) == 0, started.log_text()
        assert "Stopped" in started.log_text()
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
