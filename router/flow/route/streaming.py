"""Begins and ends that a subscriber is served in the stream, under the head's lock."""

from __future__ import annotations

from typing import Any

from router.models import LIVE, Cursor, LogHead, Subscriber, Turn


def place_cursor(subscriber: Subscriber, head: LogHead) -> None:
    """Give a new subscriber its place in the log: the head, under its lock."""
    Cursor.objects.get_or_create(
        subscriber=subscriber,
        run=LIVE,
        defaults={"start": head.position, "position": head.position},
    )


def start_streaming(subscriber: Subscriber, head: LogHead) -> None:
    """Serve what has no delivery yet in the stream; deliveries go on as they are."""
    cursor = _locked(subscriber)
    at: dict[str, Any] = {} if cursor.is_behind else {"position": head.position}
    _write(subscriber, is_behind=False, leased_to=None, troubles=0, **at)
    Turn.objects.get_or_create(subscriber=subscriber)
    Subscriber.objects.filter(pk=subscriber.pk).update(is_streamed=True)


def stop_streaming(subscriber: Subscriber) -> None:
    """Give the events above the cursor deliveries, as there is room for them.

    A chunk that runs meanwhile is rolled back: its lease ends here.
    """
    turns = Turn.objects.filter(pk=subscriber.pk)
    list(turns.select_for_update().values_list("pk"))
    _write(subscriber, is_behind=True, leased_to=None)
    turns.delete()
    Subscriber.objects.filter(pk=subscriber.pk).update(is_streamed=False)


def _locked(subscriber: Subscriber) -> Cursor:
    rows = Cursor.objects.select_for_update()
    return rows.get(subscriber=subscriber, run=LIVE)


def _write(subscriber: Subscriber, **columns: Any) -> None:
    Cursor.objects.filter(subscriber=subscriber, run=LIVE).update(**columns)
