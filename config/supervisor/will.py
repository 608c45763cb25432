"""Tells the last will which sessions run."""

from __future__ import annotations

import subprocess  # nosec B404  # a program of our own
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("reaper.py")


class Will:
    """A small program that outlives the supervisor just long enough to clean up."""

    def __init__(self) -> None:
        self._sessions: set[int] = set()
        self._program = self._start()

    def add(self, session: int) -> None:
        self._sessions.add(session)
        self._say(f"+{session}\n")

    def remove(self, session: int) -> None:
        self._sessions.discard(session)
        self._say(f"-{session}\n")

    def close(self) -> None:
        """Nothing is left to clean up; wait until the program has ended."""
        self._program.communicate()

    def _say(self, line: str) -> None:
        try:
            self._write(line)
        except OSError:
            self._program.wait()
            self._program = self._start()
            self._write("".join(f"+{session}\n" for session in self._sessions))

    def _write(self, text: str) -> None:
        if self._program.stdin is not None:
            self._program.stdin.write(text.encode())
            self._program.stdin.flush()

    @staticmethod
    def _start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # nosec B603  # a list of our own words, no shell
            [sys.executable, "-I", "-S", str(PROGRAM)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
