"""A deadline for one run of a handler."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeLimitExceeded(BaseException):
    """The handler ran longer than its time limit.

    No `Exception`: a loop that tries again whatever failed would swallow it, and run on
    to the end of its lease.
    """


#: Of the thread that has the alarm for its runs.
_owner: int | None = None


@contextmanager
def alarm_taken() -> Iterator[None]:
    """Within this block `TimeLimit` limits runs of this thread.

    By the alarm signal, which Python delivers to the main thread only: that is where
    Celery's prefork and solo pools run tasks. In other threads there is no limit but
    the lease's. Taken once for a chunk: for one run it costs ten times the limit.
    """
    global _owner
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _raise), _owner
    _owner = threading.get_ident()
    try:
        yield
    finally:
        alarm, _owner = before
        signal.signal(signal.SIGALRM, alarm)


class TimeLimit:
    """Raises `TimeLimitExceeded` in its block after `seconds`; one block at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        if _owner == threading.get_ident():
            signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(self, *_: object) -> None:
        if _owner == threading.get_ident():
            signal.setitimer(signal.ITIMER_REAL, 0)


def _raise(signum: int, frame: FrameType | None) -> None:
    raise TimeLimitExceeded("The handler ran longer than its time limit.")
