"""The pace of what the dispatcher does now and then."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass


class Every:
    """Tells when it is time again, jittered so that several dispatchers spread."""

    def __init__(
        self, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last_at = -math.inf
        self._jitter = 1.0
        self._may_wait = True

    def is_due(self, seconds: float | None = None) -> bool:
        """Whether so many seconds are over, instead of those of the constructor."""
        wanted = self._seconds if seconds is None else seconds
        if self._clock() < self._last_at + wanted * self._jitter:
            return False
        self._begin()
        self._may_wait = True
        return True

    def postpone(self) -> None:
        """Wait anew, once between two times."""
        if self._may_wait:
            self._begin()
            self._may_wait = False

    def _begin(self) -> None:
        self._last_at = self._clock()
        self._jitter = random.uniform(0.8, 1.2)  # nosec B311  # jitter


@dataclass(frozen=True, kw_only=True)
class Slowing:
    """The seconds between two looks: a share of the time since something was there.

    An event that comes seldom waits a little longer than one of many, and costs far
    fewer looks.
    """

    share: float
    least: float
    most: float

    def seconds(self, since: float) -> float:
        return max(self.least, min(self.most, since * self.share))


class Gathering:
    """Tells how long to wait for more where work comes in many small batches.

    A batch costs its receivers as much as many of its events do. One that comes alone
    waits for nothing: several must have followed one another.
    """

    #: Longer than a wait, so that the next batch after one still follows.
    GAP = 2.0
    IN_A_ROW = 4

    def __init__(
        self, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last_at = -math.inf
        self._in_a_row = 0

    def note_batch(self) -> None:
        self._in_a_row = self._in_a_row + 1 if self._follows() else 1
        self._last_at = self._clock()

    def wait_seconds(self) -> float:
        """The seconds to wait before the next batch."""
        is_pressed = self._in_a_row >= self.IN_A_ROW and self._follows()
        return self._seconds if is_pressed else 0.0

    def _follows(self) -> bool:
        return self._clock() - self._last_at < self.GAP * self._seconds
