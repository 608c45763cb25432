"""The retry policy of a subscriber: pure, and it validates itself."""

from __future__ import annotations

import random
from dataclasses import dataclass

MAX_WAIT_SECONDS = 24 * 3600
MAX_WAITS = 50


@dataclass(frozen=True, kw_only=True)
class RetrySchedule:
    """Waits that double from `first_seconds` to `maximum_seconds`, or a table of them.

    A delivery is given up on at `max_failures` failures that count against it (see
    `router.contract.failures`); what does not count is waited for
    `give_up_after_seconds` at most.
    """

    first_seconds: int = 1
    maximum_seconds: int = 600
    max_failures: int = 8
    give_up_after_seconds: int = 75 * 3600
    #: The waits one by one; the last repeats. Empty: they double.
    waits_seconds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.first_seconds <= self.maximum_seconds <= MAX_WAIT_SECONDS:
            raise ValueError("waits must be 1 ≤ first ≤ maximum ≤ 86400 seconds")
        if not 1 <= self.max_failures <= 100:
            raise ValueError("max_failures must be from 1 to 100")
        if self.give_up_after_seconds < 0:
            raise ValueError("give_up_after_seconds must not be negative")
        if len(self.waits_seconds) > MAX_WAITS or not all(
            0 <= wait <= MAX_WAIT_SECONDS for wait in self.waits_seconds
        ):
            raise ValueError("waits must be at most 50, each of 0 to 86400 seconds")

    def table_wait_seconds(self, failures: int) -> float:
        """The table's wait after the `failures`-th failure, ±20 % before the cap."""
        wait = self.waits_seconds[min(max(1, failures), len(self.waits_seconds)) - 1]
        jittered = wait * random.uniform(0.8, 1.2)  # nosec B311  # jitter
        return min(jittered, MAX_WAIT_SECONDS)
