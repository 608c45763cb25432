"""The receiver of the webhooks, in a process of its own: started, asked and ended."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from benchmarks.processes import Running, cpu_seconds
from tests.servers.waiting import wait_until

READY_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Received:
    posts: int
    #: In seconds since the epoch.
    first_at: float


class Receiver:
    """Made by `receiving`; its CPU time is counted from when it listens."""

    def __init__(self, running: Running, port: int) -> None:
        self._running = running
        self._cpu_before = cpu_seconds(running.pid)
        self.url = f"http://127.0.0.1:{port}/"

    def received(self) -> Received:
        with urlopen(self.url) as answer:
            return Received(**json.load(answer))

    def cpu(self) -> float:
        return cpu_seconds(self._running.pid) - self._cpu_before


@contextmanager
def receiving(folder: Path) -> Iterator[Receiver]:
    """One that has received nothing yet."""
    port_file = folder / "receiver.port"
    port_file.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "benchmarks.receiver", str(port_file)]
    running = Running("receiver", argv, {}, folder / "receiver.log")
    try:
        wait_until(lambda: _is_there(running, port_file), READY_SECONDS)
        yield Receiver(running, int(port_file.read_text()))
    finally:
        running.kill()


def _is_there(running: Running, port_file: Path) -> bool:
    running.check_runs()
    return port_file.exists()
