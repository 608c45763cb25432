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


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimitExceeded` in the block after `seconds`.

    By the alarm signal, which Python delivers to the main thread only: that is where
    Celery's prefork and solo pools run tasks. In other threads there is no limit but
    the lease's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _raise)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _raise(signum: int, frame: FrameType | None) -> None:
    raise TimeLimitExceeded("The handler ran longer than its time limit.")
