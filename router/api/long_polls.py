"""A pull that waits: bounded, so that pullers never take every thread of the web."""

from __future__ import annotations

import time
from threading import BoundedSemaphore

from router.flow.claiming import Claim
from router.flow.leasing import has_due, pull
from router.models import Subscriber

LOOK_SECONDS = 0.1
#: Long polls that one process holds at once; a further one is answered at once.
MOST_AT_ONCE = 8
_places = BoundedSemaphore(MOST_AT_ONCE)


def pull_patiently(
    subscriber: Subscriber, *, most: int, lease_seconds: float, wait_seconds: float
) -> Claim | None:
    """Pull; while nothing is due look again, for `wait_seconds` at most."""
    found = pull(subscriber, most=most, lease_seconds=lease_seconds)
    if found or wait_seconds <= 0 or not _places.acquire(blocking=False):
        return found
    try:
        deadline = time.monotonic() + wait_seconds
        while not found and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(LOOK_SECONDS, left))
            if has_due(subscriber.pk):
                found = pull(subscriber, most=most, lease_seconds=lease_seconds)
    finally:
        _places.release()
    return found
