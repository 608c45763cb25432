"""A chunk, the deliveries that one message names: how many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from router.conf import conf
from router.flow.dispatch import limits
from router.models import REMOTE, Subscriber

#: Chunk of a subscriber whose run time nobody has measured yet: one tells it soonest,
#: and costs least if it hangs.
FIRST_CHUNK = 1


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Deliveries of one subscriber that travel in one message; none of them: the next
    events above its cursor."""

    subscriber: Subscriber
    ids: tuple[int, ...]
    #: As large as it may be: more is likely to wait.
    is_full: bool


def ring(subscriber: Subscriber) -> Chunk:
    """What says that a subscriber's cursor is to be served."""
    return Chunk(subscriber=subscriber, ids=(), is_full=False)


def chunk_size(subscriber: Subscriber) -> int:
    """How many deliveries run about `chunk_seconds` together.

    What is sent elsewhere goes all at once: as many as there is room for.
    """
    limit = min(conf().chunk_limit, subscriber.ramp or conf().chunk_limit)
    if limits.is_limited(subscriber):
        limit = min(limit, limits.allowance(subscriber))
    if subscriber.transport in REMOTE:
        return limit
    if subscriber.mean_run_ms is None:
        return min(FIRST_CHUNK, limit)
    fitting = conf().chunk_seconds * 1000 / max(subscriber.mean_run_ms, 0.01)
    return min(limit, max(1, int(fitting)))


def within_bytes(due: Iterable[Sequence[Any]]) -> tuple[int, ...]:
    """The first ids, while the sizes of their events fit into a chunk's bytes.

    `due` are rows that begin with the id and the size in bytes, in their order.
    """
    chosen: list[int] = []
    total = 0
    for pk, size, *_ in due:
        total += size
        if chosen and total > conf().chunk_bytes:
            break
        chosen.append(pk)
    return tuple(chosen)
