"""A notice, once a week, of each subscriber that keeps old events from deletion."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from router.contract.errors import RouterError
from router.contract.times import format_time
from router.flow.publish.publishing import publish_notice
from router.models import EventRecord, Subscriber

logger = logging.getLogger(__name__)

HELD = "router.retention.held"


def notify_holders(cursors: Mapping[int, int], before: datetime) -> None:
    """Publish a notice of each subscriber whose cursor is below events recorded
    `before`: it is paused or disabled for long, or its handler is not installed any
    more."""
    week = "{}-{}".format(*timezone.now().isocalendar())
    for subscriber in Subscriber.objects.known().filter(pk__in=cursors):
        notice_id = f"retention-held-{subscriber.pk}-{week}"
        # Of another dispatcher, or of an earlier walk of this week.
        if not EventRecord.objects.filter(type=HELD, event_id=notice_id).exists():
            _notify(subscriber, cursors[subscriber.pk], before, notice_id)


def _notify(
    subscriber: Subscriber, position: int, before: datetime, notice_id: str
) -> None:
    # Young imports may come before old live events.
    held = EventRecord.objects.filter(position__gt=position, recorded_at__lt=before)
    first = held.order_by("position").values_list("recorded_at", flat=True).first()
    if first is None:
        return
    count = held.count()
    logger.warning("%s keeps %d old events from deletion", subscriber.name, count)
    data = {
        "subscriber": {"name": subscriber.name, "title": subscriber.title},
        "state": subscriber.state,
        "event_count": count,
        "first_recorded_at": format_time(first),
    }
    try:
        with transaction.atomic():
            publish_notice(HELD, data, id=notice_id, subject=subscriber.name)
    except RouterError:
        # Another dispatcher counted others, and was first.
        logger.info("The notice of %s was published meanwhile", subscriber.name)
