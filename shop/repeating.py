"""Repeat a piece of work until a signal asks the process to stop."""

from __future__ import annotations

import os
import random
import select
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: Several processes that start together spread out.
JITTER = (0.9, 1.1)


class StopSignal:
    """Notes the signals: a wait ends at once, and no round of work is interrupted."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def listen(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._note)

    def wait(self, seconds: float) -> bool:
        """Wait so long; True, and at once, when the process was asked to stop."""
        readable, _, _ = select.select([self._reader], [], [], seconds)
        return bool(readable)

    def _note(self, number: int, frame: FrameType | None) -> None:
        # A handler may run between a check and a wait; what is in a pipe is not lost.
        os.write(self._writer, b".")


def rounds(every_seconds: float) -> Iterator[None]:
    """One round now, and then one each `every_seconds`, until a signal asks to stop."""
    stop = StopSignal()
    stop.listen()
    yield
    while not stop.wait(every_seconds * random.uniform(*JITTER)):  # nosec B311  # jitter
        yield
