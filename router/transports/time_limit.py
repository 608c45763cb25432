"""A deadline for each run of a handler."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: The alarm is set again for a run that begins so long after it was set: a handler that
#: uses the alarm itself takes it away from those after it for so long at most.
SET_FOR_SECONDS = 0.02


class TimeLimitExceeded(BaseException):
    """The handler ran longer than its time limit.

    No `Exception`: a loop that tries again whatever failed would swallow it, and run on
    to the end of its lease.
    """


class _Alarm:
    """The alarm signal of a thread that runs one handler after the other.

    To set it costs more than most handlers. So it stays set from run to run, and one
    that comes before its run's own end is set anew.
    """

    def __init__(self) -> None:
        self.owner = threading.get_ident()
        self._set_at = -math.inf
        #: Of the run under way.
        self._ends_at = math.inf

    def begin(self, seconds: float) -> None:
        now = time.monotonic()
        self._ends_at = now + seconds
        if now - self._set_at > SET_FOR_SECONDS:
            self._set(now)

    def end(self) -> None:
        self._ends_at = math.inf

    def ring(self, signum: int, frame: FrameType | None) -> None:
        """Handles the signal, after which nothing is set."""
        self._set_at, now = -math.inf, time.monotonic()
        if now >= self._ends_at:
            raise TimeLimitExceeded("The handler ran longer than its time limit.")
        if self._ends_at < math.inf:
            self._set(now)

    def _set(self, now: float) -> None:
        self._set_at = now
        signal.setitimer(signal.ITIMER_REAL, self._ends_at - now)


_alarm: _Alarm | None = None


@contextmanager
def alarm_taken() -> Iterator[None]:
    """Within this block `TimeLimit` limits runs of this thread.

    By the alarm signal, which Python delivers to the main thread only: that is where
    Celery's prefork and solo pools run tasks. In other threads there is no limit but
    the lease's. Taken once for a chunk: for one run it costs ten times the limit.
    """
    global _alarm
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    alarm = _Alarm()
    before = signal.signal(signal.SIGALRM, alarm.ring), _alarm
    _alarm = alarm
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        handler, _alarm = before
        signal.signal(signal.SIGALRM, handler)


class TimeLimit:
    """Raises `TimeLimitExceeded` in its block after `seconds`; one block at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        if _alarm is not None and _alarm.owner == threading.get_ident():
            _alarm.begin(self._seconds)

    def __exit__(self, *_: object) -> None:
        if _alarm is not None and _alarm.owner == threading.get_ident():
            _alarm.end()
