"""Processes of a run: started in the repository, ended whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from config.env import BASE_DIR


class Ended(Exception):
    """A process of the benchmark failed; the message has its last words."""


class Running:
    """One process in a session of its own, so that Ctrl-C reaches us alone."""

    def __init__(
        self, kind: str, argv: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.kind = kind
        self._log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                list(argv),
                cwd=BASE_DIR,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def check_runs(self) -> None:
        if self._popen.poll() is not None:
            raise Ended(self._last_words())

    def has_ended(self) -> bool:
        """Whether it came to its end. Raises `Ended` when that was a bad one."""
        code = self._popen.poll()
        if code:
            raise Ended(self._last_words())
        return code is not None

    def kill(self) -> None:
        """It and whatever is left of its session: nothing of it is needed any more."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()

    def _last_words(self) -> str:
        words = self._log.read_text(errors="replace")[-1500:]
        return f"A {self.kind} of the benchmark ended.\n{words}"


def run_to_end(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Raises `Ended` when it fails."""
    done = subprocess.run(
        list(argv),
        cwd=BASE_DIR,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Ended(done.stdout[-3000:])


def cpu_seconds(pid: int) -> float:
    """Of a process and all that it started, the ended ones too."""
    try:
        main = psutil.Process(pid)
        family = [main, *main.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(map(_own_cpu_seconds, family))


def _own_cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    ended = times.children_user + times.children_system
    return float(times.user + times.system + ended)


def rss_mib(pid: int) -> float:
    """The largest of its process tree."""
    try:
        main = psutil.Process(pid)
        family = [main, *main.children(recursive=True)]
        return max(one.memory_info().rss for one in family) / 1024**2
    except psutil.NoSuchProcess:
        return 0.0
