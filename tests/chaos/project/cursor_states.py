"""What `tests.chaos.cursors` judges, read from the database of any site."""

from __future__ import annotations

from typing import Any

from router.models import (
    LIVE,
    Cursor,
    Delivery,
    EventRecord,
    LogHead,
    Subscriber,
    Turn,
)


def cursor_states() -> list[dict[str, Any]]:
    """The values of a `CursorState` for each subscriber."""
    return [_cursor_of(row) for row in Subscriber.objects.known()]


def _cursor_of(subscriber: Subscriber) -> dict[str, Any]:
    """See `CursorState`. Where each event has a row, it counts as at the head."""
    cursor = Cursor.objects.get(subscriber=subscriber, run=LIVE)
    is_read = subscriber.is_streamed or cursor.is_behind
    head = LogHead.objects.get().position
    rows = Delivery.objects.filter(subscriber=subscriber, run=LIVE)
    acknowledged = cursor.acknowledgements.order_by("last")
    leased = Turn.objects.filter(subscriber=subscriber, token__isnull=False)
    return {
        "name": subscriber.name,
        "start": cursor.start,
        "position": cursor.position if is_read else head,
        "wanted": _wanted(subscriber),
        "rows": sorted(rows.values_list("event__position", flat=True)),
        "acknowledgements": list(acknowledged.values_list("first", "last", "count")),
        "is_leased": leased.exists(),
    }


def _wanted(subscriber: Subscriber) -> list[int]:
    routed = EventRecord.objects.filter(position__isnull=False).order_by("position")
    rows = routed.values_list("position", "type")
    return [position for position, type_ in rows if subscriber.asks_for(type_)]
