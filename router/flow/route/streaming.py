"""Begins and ends that a subscriber is served in the stream, under the head's lock."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from router.conf import conf
from router.flow.cursor import turn
from router.flow.cursor.runs import end_runs
from router.flow.heartbeats import is_older_release_alive
from router.flow.route.head import lock_head
from router.flow.route.periods import begin_period
from router.models import (
    LIVE,
    Clock,
    Cursor,
    Delivery,
    LogHead,
    Ordering,
    Run,
    RunState,
    Subscriber,
    Transport,
    Turn,
)
from router.models.gap import is_imported
from router.models.subscriber import is_handler_missing


def place_cursor(subscriber: Subscriber, head: LogHead) -> None:
    """Give a new subscriber its place in the log: the head, under its lock."""
    Cursor.objects.get_or_create(
        subscriber=subscriber,
        run=LIVE,
        defaults={"start": head.position, "position": head.position},
    )


def is_to_stream(subscriber: Subscriber) -> bool:
    """Whether it is to be served in the stream, by its declaration."""
    return (
        conf().stream
        and subscriber.transport == Transport.HANDLER
        and subscriber.is_transactional
        and not (subscriber.is_safe_concurrently or subscriber.is_ordered)
    )


def start_waiting_streams() -> None:
    """Begin to stream those that a process of an older release kept waiting.

    Such a process knows no lease of a subscriber: its worker would run a handler beside
    a chunk of the stream.
    """
    if not conf().stream or not _waiting() or is_older_release_alive():
        return
    with transaction.atomic():
        head = lock_head()
        turn.wait_for_claims()
        for subscriber in _waiting():
            place_cursor(subscriber, head)
            begin_period(subscriber, head)
            start_streaming(subscriber, head)


def _waiting() -> list[Subscriber]:
    return [row for row in _handlers_by_row() if not is_handler_missing(row)]


def _handlers_by_row() -> QuerySet[Subscriber]:
    among_imports = Cursor.objects.filter(
        subscriber=OuterRef("pk"), run=LIVE, position__lt=0
    )
    return (
        Subscriber.objects.known()
        .filter(
            transport=Transport.HANDLER,
            ordering=Ordering.NONE,
            is_transactional=True,
            is_safe_concurrently=False,
            is_streamed=False,
        )
        .exclude(Exists(among_imports))
    )


def start_streaming(subscriber: Subscriber, head: LogHead) -> None:
    """Serve what has no delivery yet in the stream; deliveries go on as they are.

    A live cursor among the imports waits: in the stream it would not know where these
    end, and `start_waiting_streams` begins it later.
    Of a subscriber that has deliveries, the caller waits for their claims first:
    `turn.wait_for_claims`.
    """
    cursor = _locked(subscriber)
    if is_imported(cursor.position):
        return
    at: dict[str, Any] = {} if cursor.is_behind else {"position": head.position}
    _write(subscriber, is_behind=False, leased_to=None, troubles=0, **at)
    Turn.objects.get_or_create(subscriber=subscriber)
    Subscriber.objects.filter(pk=subscriber.pk).update(is_streamed=True)


def stop_streaming(subscriber: Subscriber) -> None:
    """Give the events above the cursor deliveries, as there is room for them.

    What runs meanwhile is rolled back, for its lease ends here: a chunk of the stream,
    and deliveries, which are due again and count nothing. The caller has locked the
    Turn before other rows of the subscriber.
    """
    turn.end(subscriber.pk)
    leased = Delivery.objects.leased().filter(subscriber=subscriber)
    # What a worker gives back now is its own: it may wait for the subscriber's row.
    free = leased.select_for_update(skip_locked=True).values_list("pk", flat=True)
    Delivery.objects.filter(pk__in_array=list(free)).reschedule(Clock())
    _write(subscriber, is_behind=True, leased_to=None)
    Subscriber.objects.filter(pk=subscriber.pk).update(is_streamed=False)


def stop_reading(subscriber: Subscriber) -> None:
    """Give nothing above the cursor to the subscriber any more, which is deleted next
    in the same transaction. A chunk that runs meanwhile is rolled back."""
    turn.end(subscriber.pk)
    # While a dispatcher fills the window, this waits, and the subscriber is known.
    _write(subscriber, is_behind=False)
    end_runs(Run.objects.filter(subscriber=subscriber).open(), RunState.CANCELLED)


def _locked(subscriber: Subscriber) -> Cursor:
    rows = Cursor.objects.select_for_update()
    return rows.get(subscriber=subscriber, run=LIVE)


def _write(subscriber: Subscriber, **columns: Any) -> None:
    Cursor.objects.filter(subscriber=subscriber, run=LIVE).update(**columns)
