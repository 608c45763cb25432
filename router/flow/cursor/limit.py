"""The limit: how many open deliveries a subscriber may have, whatever way it is served.

A handler that asks to be called later, for every event, would turn the whole log into
deliveries. At the limit its cursor stands still, until enough of them are over.
"""

from __future__ import annotations

import logging

from django.db import transaction
from django.db.models import Count

from router.conf import conf
from router.contract.errors import RouterError
from router.flow.publish.publishing import publish_notice
from router.models import LIVE, Cursor, Delivery, EventRecord, Subscriber, Turn

logger = logging.getLogger(__name__)

#: Below so much of `max_open` a subscriber that reached it may have more.
AGAIN = 0.9
FULL = "router.subscriber.full"


def open_count(subscriber_id: int) -> int:
    """Open deliveries of a subscriber, counted up to the limit."""
    rows = Delivery.objects.filter(subscriber=subscriber_id).open()
    return rows[: conf().max_open].count()


def is_full(subscriber_id: int) -> bool:
    return open_count(subscriber_id) >= conf().max_open


def stop_if_full(subscriber: Subscriber) -> bool:
    """Let the cursor stand still where the subscriber is at its limit, with one notice;
    returns whether it is.

    In the transaction that made a delivery, which holds the Turn.
    """
    if not is_full(subscriber.pk):
        return False
    going = Turn.objects.filter(pk=subscriber.pk, is_full=False)
    if going.update(is_full=True):
        cursor = Cursor.objects.get(subscriber=subscriber, run=LIVE)
        notify_full(subscriber, cursor.position)
    return True


def let_go_on() -> int:
    """Serve the cursors again whose subscribers are well below the limit."""
    full = Turn.objects.filter(is_full=True).values_list("pk", flat=True)
    room = [pk for pk in full if open_count(pk) < conf().max_open * AGAIN]
    return Turn.objects.filter(pk__in=room).update(is_full=False) if room else 0


def notify_full(subscriber: Subscriber, position: int) -> None:
    """Say once for each live position that the cursor, or a run of the subscriber,
    waits until fewer deliveries are open.

    An error here must not undo what the caller's transaction does.
    """
    notice_id = f"subscriber-full-{subscriber.pk}-{position}"
    if EventRecord.objects.filter(type=FULL, event_id=notice_id).exists():
        return
    logger.warning("%s has too many open deliveries", subscriber.name)
    try:
        with transaction.atomic():
            _publish(subscriber, notice_id)
    except RouterError:
        # Another process counted others, and was first.
        logger.info("The notice of %s was published meanwhile", subscriber.name)


def _publish(subscriber: Subscriber, notice_id: str) -> None:
    """With what there is most of."""
    held = Delivery.objects.filter(subscriber=subscriber).held()
    keys = held.values("ordering_key").annotate(count=Count("pk")).order_by("-count")
    most = keys.first()
    publish_notice(
        FULL,
        {
            "subscriber": {"name": subscriber.name, "title": subscriber.title},
            "open_count": open_count(subscriber.pk),
            "held_behind_one_key": most["count"] if most else 0,
        },
        id=notice_id,
        subject=subscriber.name,
    )
