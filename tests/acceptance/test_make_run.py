"""`make run` as a person uses it: in a terminal, with Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from config.env import BASE_DIR
from tests.servers.stack import READY, START_SECONDS, STOP_SECONDS
from tests.servers.waiting import free_port, wait_until

# Python's own terminal in a process of its own: what comes in is typed there.
IN_A_TERMINAL = (
    "import os, pty, sys;"
    "sys.exit(os.waitstatus_to_exitcode(pty.spawn(['make', 'run'])))"
)


class Terminal:
    """Somebody types `make run` and looks at what comes."""

    def __init__(self, folder: Path) -> None:
        self._seen = bytearray()
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_A_TERMINAL],
            cwd=BASE_DIR,
            env=_environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def shows(self, text: str) -> None:
        def is_shown() -> bool:
            return text in self._seen.decode(errors="replace")

        wait_until(is_shown, START_SECONDS)

    def types(self, keys: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(keys)
        self.process.stdin.flush()

    def close(self) -> None:
        if self.process.poll() is None:
            for process in family(self.process.pid):
                process.kill()
        self._reader.join()
        with self.process:
            pass

    def _read(self) -> None:
        assert self.process.stdout is not None
        while some := os.read(self.process.stdout.fileno(), 4096):
            self._seen += some


def _environment(folder: Path) -> dict[str, str]:
    own = {"VAR_DIR": str(folder), "PORT": str(free_port()), "DEBUG": "true"}
    none = {"DATABASE_URL": "", "BROKER_URL": "", "PYTHONDEVMODE": "", "MAKEFLAGS": ""}
    return {**os.environ, **own, **none}


def family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def is_over(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@contextmanager
def terminal(folder: Path) -> Iterator[Terminal]:
    opened = Terminal(folder)
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.parametrize(
    "moment",
    ["preparing the database", pytest.param(READY, marks=pytest.mark.long)],
)
def test_ctrl_c_ends_make_run_without_an_error(tmp_path: Path, moment: str) -> None:
    with terminal(tmp_path) as person:
        person.shows(moment)
        started = family(person.process.pid)
        person.types(b"\x03")
        assert person.process.wait(STOP_SECONDS) == 0
        assert [process for process in started if not is_over(process)] == []


@pytest.mark.long
def test_sigterm_to_make_stops_what_it_started(tmp_path: Path) -> None:
    with subprocess.Popen(
        ["make", "run"],
        cwd=BASE_DIR,
        env=_environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as make:
        assert make.stdout is not None
        seen = b""
        while b"preparing the database" not in seen:
            seen += os.read(make.stdout.fileno(), 4096)
        started = family(make.pid)
        make.terminate()
        make.stdout.read()
        # GNU make ends by the signal that it got, after its child.
        assert make.wait(STOP_SECONDS) in (0, -signal.SIGTERM)
    assert [process for process in started if not is_over(process)] == []
