"""A chunk, the deliveries that one message names: how many, and marked for how long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Case, DateTimeField, Value, When
from django.db.models.expressions import Combinable

from router.conf import conf
from router.flow.dispatch import limits
from router.models import REMOTE, Clock, Subscriber

#: Chunk of a subscriber whose run time nobody has measured yet: one tells it soonest,
#: and costs least if it hangs.
FIRST_CHUNK = 1
MAX_DOUBLINGS = 3


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


def mark_seconds(sent_before: int) -> float:
    """How long a mark holds: doubling with each message sent, at most the lease's."""
    return float(min(conf().lease_seconds, conf().mark_seconds * 2.0**sent_before))


def mark_end() -> Case:
    """The end of the mark, by the delivery's row."""
    return Case(
        *(
            When(dispatch_count=count, then=_after(mark_seconds(count)))
            for count in range(MAX_DOUBLINGS)
        ),
        default=_after(conf().lease_seconds),
        output_field=DateTimeField(),
    )


def _after(seconds: float) -> Combinable:
    return Clock() + Value(timedelta(seconds=seconds))


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
