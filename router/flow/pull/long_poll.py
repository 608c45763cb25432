"""A pull that waits for something to become due, without holding a transaction."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

from router.conf import conf
from router.flow.pull.leasing import Pulled, pull, unchecked

LOOK_SECONDS = 0.075
MAX_RETRY_AFTER_SECONDS = 3


def pull_patiently(
    subscriber_id: int,
    *,
    most: int,
    lease_seconds: float,
    wait_seconds: float,
    check: Callable[[], None] = unchecked,
    sleep: Callable[[float], None] = time.sleep,
) -> Pulled:
    """`pull`, looking again for up to `wait_seconds` while it comes to nothing.

    Each pull that waits keeps a thread of the web process. Where as many wait as
    ROUTER["PULL_WAITS_AT_ONCE"] lets, the answer comes at once, and says when to ask
    again: a puller that asked to wait would otherwise ask without a pause.

    A caller's right may end while it waits: `check` raises then, before a lease is made
    and before the wait ends with none.

    Raises what `pull` raises.
    """
    ends_at = time.monotonic() + min(wait_seconds, conf().pull_wait_maximum_seconds)
    pulled = pull(subscriber_id, most=most, lease_seconds=lease_seconds)
    if pulled.deliveries or wait_seconds <= 0:
        return pulled
    with _a_seat() as is_seated:
        if not is_seated:
            return replace(pulled, retry_after_seconds=_retry_after_seconds())
        while not pulled.deliveries and time.monotonic() < ends_at:
            # Jittered, so that pullers who came together do not look together.
            sleep(LOOK_SECONDS * random.uniform(0.7, 1.3))  # nosec B311  # jitter
            pulled = pull(
                subscriber_id, most=most, lease_seconds=lease_seconds, check=check
            )
    if not pulled.deliveries:
        check()
    return pulled


def _retry_after_seconds() -> int:
    """Whole seconds, as the header Retry-After has them; spread over the pullers."""
    return random.randint(1, MAX_RETRY_AFTER_SECONDS)  # nosec B311  # jitter


@contextmanager
def _a_seat() -> Iterator[bool]:
    """Whether this process has a thread to spare for one more that waits."""
    seats = _seats(conf().pull_waits_at_once)
    is_seated = seats.acquire(blocking=False)
    try:
        yield is_seated
    finally:
        if is_seated:
            seats.release()


@cache
def _seats(count: int) -> threading.Semaphore:
    return threading.Semaphore(count)
