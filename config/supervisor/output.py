"""What the terminal shows: every line with the name of the program that wrote it."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterable

from rich.console import Console

COLOURS = {
    "up": 37,
    "broker": 35,
    "web": 36,
    "dispatcher": 33,
    "worker": 32,
    "slow": 34,
}
NAME_WIDTH = max(map(len, COLOURS))


class Output:
    """Prints whole lines, whoever writes them; loses them when nobody reads."""

    def __init__(self) -> None:
        self.console = Console(file=sys.stdout, highlight=False)
        self._is_coloured = self.console.is_terminal and not self.console.no_color
        self._lock = threading.Lock()

    def line(self, name: str, text: str) -> None:
        prefix = f"{name:<{NAME_WIDTH}} |"
        if self._is_coloured:
            prefix = f"\x1b[{COLOURS.get(name, 37)}m{prefix}\x1b[0m"
        self._write(f"{prefix} {text}\n")

    def stream(self, name: str, lines: Iterable[bytes], noise: Iterable[str]) -> None:
        """Copy a program's lines, but for `noise`, until its last writer is gone."""
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text and not any(part in text for part in noise):
                self.line(name, text)

    def _write(self, text: str) -> None:
        # A closed terminal must not fill the pipes of the programs that still run.
        with self._lock, contextlib.suppress(OSError, ValueError):
            sys.stdout.write(text)
            sys.stdout.flush()
