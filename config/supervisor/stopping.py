"""The wish to stop: Ctrl-C, SIGTERM, or the terminal that went away."""

from __future__ import annotations

import signal
import time
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class StopAsked(BaseException):
    """Somebody asked to stop while nothing was running yet."""


class StopRequest:
    """Counts the signals that ask to stop.

    While `interrupts` is set a signal raises `StopAsked`, so that a long preparation
    ends at once; after that it is only noted, so that no start is cut in half.
    """

    def __init__(self) -> None:
        self.times = 0
        self.interrupts = True

    def listen(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._note)

    @property
    def is_asked(self) -> bool:
        return self.times > 0

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.times += 1
        if self.interrupts:
            raise StopAsked


def pause(seconds: float) -> None:
    """Wait without taking the processor."""
    time.sleep(seconds)
