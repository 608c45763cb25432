"""The pace of what the dispatcher does now and then."""

from __future__ import annotations

import random
import time
from collections.abc import Callable


class Every:
    """Tells when it is time again, jittered so that several dispatchers spread."""

    def __init__(
        self, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._next_at = 0.0
        self._may_wait = True

    def is_due(self) -> bool:
        if self._clock() < self._next_at:
            return False
        self._next_at = self._next()
        self._may_wait = True
        return True

    def postpone(self) -> None:
        """Wait anew, once between two times."""
        if self._may_wait:
            self._next_at = self._next()
            self._may_wait = False

    def _next(self) -> float:
        return self._clock() + self._seconds * random.uniform(0.8, 1.2)  # nosec B311  # jitter
