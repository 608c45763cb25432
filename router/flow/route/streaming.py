"""Begins and ends that a subscriber is served in the stream, under the head's lock.

What is routed from then on is read by its cursor, or gets deliveries again: each event
in one of the two ways.
"""

from __future__ import annotations

from router.flow.cursor.filling import fill
from router.models import LIVE, Cursor, LogHead, Subscriber, Turn

#: Deliveries that are made in one step.
STEP = 5000


def start_streaming(subscriber: Subscriber, head: LogHead) -> None:
    """Serve what is routed from now on in the stream; deliveries that are open go on
    as they are."""
    here = {"position": head.position, "leased_to": None, "troubles": 0}
    Cursor.objects.update_or_create(
        subscriber=subscriber,
        run=LIVE,
        defaults=here,
        create_defaults={**here, "start": head.position},
    )
    Turn.objects.get_or_create(subscriber=subscriber)
    Subscriber.objects.filter(pk=subscriber.pk).update(is_streamed=True)


def stop_streaming(subscriber: Subscriber, head: LogHead) -> None:
    """Give each event above the cursor a delivery.

    A chunk that runs meanwhile is rolled back: its lease ends here.
    """
    rows = Turn.objects.filter(pk=subscriber.pk)
    list(rows.select_for_update().values_list("pk"))
    cursor = Cursor.objects.get(subscriber=subscriber, run=LIVE)
    while cursor.position < head.position:
        fill(cursor, subscriber, to=head.position, limit=STEP)
    Cursor.objects.filter(pk=cursor.pk).update(leased_to=None)
    rows.delete()
    Subscriber.objects.filter(pk=subscriber.pk).update(is_streamed=False)
