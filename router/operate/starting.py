"""Where in the log a new subscriber starts."""

from __future__ import annotations

from router.flow import audit
from router.flow.cursor.runs import open_run
from router.flow.route.streaming import place_cursor
from router.models import LIVE, Cursor, LogHead, Run, RunKind, Subscriber
from router.operate.log_places import Place, start_of


def start_subscriber(
    subscriber: Subscriber, head: LogHead, place: Place, *, by: str, reason: str = ""
) -> Run | None:
    """Place a new subscriber's cursor; returns the backfill of the events before it.

    An ordered one has none: its cursor itself starts in the past, so that the events of
    a key come one after the other. In the caller's transaction, which holds the head's
    lock. Raises `InvalidRun`.
    """
    start = start_of(place, head)
    place_cursor(subscriber, head)
    if start >= head.position:
        return None
    if subscriber.is_ordered:
        cursors = Cursor.objects.filter(subscriber=subscriber, run=LIVE)
        cursors.update(start=start, position=start, is_behind=True)
        return None
    run = open_run(
        subscriber,
        start=start,
        end=head.position,
        kind=RunKind.BACKFILL,
        reason=reason[:1000],
        requested_by=by[:200],
    )
    audit.note(
        "run.begun",
        run,
        by=by,
        reason=reason,
        detail=f"backfill of positions {start + 1} to {head.position}",
    )
    return run
