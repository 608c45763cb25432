"""The processes of a run, and what they cost."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.servers.server import Server

ROOT = Path(__file__).resolve().parent.parent


class Process(Server):
    """A process in the repository's folder."""

    def __init__(
        self, kind: str, argv: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        super().__init__(argv, log, env={**os.environ, **environment}, cwd=ROOT)
        self.kind = kind

    def has_succeeded(self) -> bool:
        """Whether it came to its end. Raises `AssertionError` when it failed."""
        code = self.exit_code()
        if code:
            raise AssertionError(f"A {self.kind} failed:\n{self.last_output()}")
        return code is not None


def cpu_seconds(pid: int) -> float:
    """Of a process and all that it started, the ended ones too."""
    return sum(map(_own_cpu_seconds, _family(pid)))


def _own_cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    ended = times.children_user + times.children_system
    return float(times.user + times.system + ended)


def rss_mib(pid: int) -> float:
    """The largest process of its tree."""
    try:
        return max(
            (process.memory_info().rss / 1024**2 for process in _family(pid)),
            default=0.0,
        )
    except psutil.NoSuchProcess:
        return 0.0


def _family(pid: int) -> list[psutil.Process]:
    try:
        main = psutil.Process(pid)
        return [main, *main.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
