"""What a streamed subscriber is owed above its live cursor."""

from __future__ import annotations

from router.flow.cursor.asking import Asking
from router.flow.cursor.filling import fill
from router.flow.cursor.limit import is_full
from router.flow.cursor.reading import SPAN
from router.models import (
    LIVE,
    Cursor,
    Delivery,
    DeliveryState,
    EventRecord,
    LogHead,
    Subscriber,
    Turn,
)

#: Events that get a delivery to probe with, in one incident.
MAX_PROBED = 100
#: Looks of `fill` for one probe.
MAX_STEPS = 20


def is_owed_above(subscriber: Subscriber, *, after: int | None = None) -> bool:
    """Whether an event of a type that it wants lies above its cursor, or above the
    position `after`; as far as a claim looks, beyond which there may be one."""
    if not subscriber.is_streamed:
        return False
    if after is None:
        after = _cursor_of(subscriber).position
    if _head() - after > SPAN:
        return True
    above = EventRecord.objects.filter(position__gt=after, position__lte=after + SPAN)
    return above.filter(Asking.of(subscriber).ever(subscriber)).exists()


def set_next_aside(subscriber: Subscriber) -> bool:
    """Give the next event above the cursor a delivery to probe with; False where it
    finds none, the cursor is being served, or the incident has its share.

    In the caller's transaction. It looks at so much of the log at most as does not hold
    the dispatcher up, and the next call goes on from there.
    """
    # Not waited for: the caller may have locked the subscriber's row, after which a
    # worker that settles waits with the lease in its hands.
    free = Turn.objects.free().filter(pk=subscriber.pk)
    if not free.select_for_update(skip_locked=True).values_list("pk").first():
        return False
    if _probed_count(subscriber) >= MAX_PROBED or is_full(subscriber.pk):
        return False
    cursor, head = _cursor_of(subscriber), _head()
    for _ in range(MAX_STEPS):
        if cursor.position >= head:
            break
        if fill(cursor, subscriber, to=head, limit=1):
            return True
    return False


def _probed_count(subscriber: Subscriber) -> int:
    waiting = Delivery.objects.filter(
        subscriber=subscriber, state=DeliveryState.PENDING, run=LIVE
    )
    since = subscriber.incident_since or subscriber.created_at
    of_incident = waiting.filter(created_at__gte=since)
    return of_incident[:MAX_PROBED].count()


def _cursor_of(subscriber: Subscriber) -> Cursor:
    return Cursor.objects.get(subscriber=subscriber, run=LIVE)


def _head() -> int:
    return LogHead.objects.values_list("position", flat=True).first() or 0
