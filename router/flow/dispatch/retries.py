"""Retries are at most half of a chunk, so that they keep no new event waiting.

A receiver that refuses many events would otherwise be sent little else, and the good
events behind them would wait until each bad one is given up.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any

from router.db.statements import SUBSCRIBER, Select
from router.models import Delivery, DeliveryQuerySet

#: What is read of a delivery that may go now.
CANDIDATE = ("id", "event__size_bytes", "last_failed_at")


def due_unmarked(subscriber_id: Any) -> DeliveryQuerySet:
    """What may be sent to a subscriber now, locked."""
    due = Delivery.objects.filter(subscriber=subscriber_id).due().unmarked()
    return due.select_for_update(skip_locked=True, of=("self",))


def with_new_events(subscriber_id: int, due: Sequence[Any], size: int) -> Sequence[Any]:
    """The chunk `due`, of `CANDIDATE` rows, with new events for half of its retries.

    Costs a statement only if the chunk is full and retries are more than half of it.
    """
    retries = [row for row in due if row[2] is not None]
    # Of a chunk of one, half is every second chunk.
    limit = (size + random.getrandbits(1)) // 2  # nosec B311  # a coin
    if len(due) < size or len(retries) <= limit:
        return due
    new = _first_new(size - limit).rows(subscriber_id=subscriber_id)
    return [*new, *retries[: size - len(new)]]


@cache
def _first_new(size: int) -> Select:
    """A statement a size, of which there are at most as many as `chunk_limit`."""
    return Select(
        lambda: (
            due_unmarked(SUBSCRIBER)
            .filter(last_failed_at__isnull=True)
            .order_by("due_at", "id")
            .values_list(*CANDIDATE)[:size]
        )
    )
