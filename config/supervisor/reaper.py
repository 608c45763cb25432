"""Stops the programs of a supervisor that was killed and could not stop them itself.

The supervisor starts this file as a program of its own. After each change it writes the
sessions that run to the program's standard input, on one line. The end of input means
that the supervisor is gone: the program then asks the sessions of the last line to
stop, and kills those that do not. It uses the standard library alone.
"""

from __future__ import annotations

import os
import signal
import subprocess  # nosec B404  # this file
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

GRACE_SECONDS = 5.0


class Reaper:
    """The supervisor's side: it keeps the program informed, and running."""

    def __init__(self) -> None:
        self._sessions: set[int] = set()
        self._program = _start()

    def add(self, session: int) -> None:
        self._sessions.add(session)
        self._update()

    def remove(self, session: int) -> None:
        self._sessions.discard(session)
        self._update()

    def close(self) -> None:
        """Wait until the program has ended."""
        self._program.communicate()

    def _update(self) -> None:
        try:
            self._write()
        except OSError:
            # Somebody killed the program.
            self._program.wait()
            self._program = _start()
            self._write()

    def _write(self) -> None:
        if self._program.stdin is not None:
            self._program.stdin.write(f"{' '.join(map(str, self._sessions))}\n")
            self._program.stdin.flush()


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(  # nosec B603  # a list of our own words, no shell
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def main() -> None:
    sessions: list[int] = []
    for line in sys.stdin:
        sessions = [int(session) for session in line.split()]
    reap(sessions)


def reap(sessions: Iterable[int]) -> None:
    for session in sessions:
        with suppress(OSError):
            os.kill(session, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(map(is_alive, sessions)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for session in sessions:
        with suppress(OSError):
            os.killpg(session, signal.SIGKILL)


def is_alive(session: int) -> bool:
    try:
        os.killpg(session, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
