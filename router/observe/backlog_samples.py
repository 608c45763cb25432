"""The backlog of each subscriber over time: a dispatcher samples it now and then, by
default once a minute, and judges by the same look which alerts open and close."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from django.db import DatabaseError

from router.conf import conf
from router.models import Measure, Rollup, Span
from router.observe.alerts.judging import judge_alerts
from router.observe.overview import SubscriberOverview, subscribers_overview

logger = logging.getLogger(__name__)


class BacklogSamples:
    """What a dispatcher does beside its work; several overwrite the same rows."""

    def __init__(self) -> None:
        self._look: int | None = None

    def turn(self) -> None:
        """Take a sample if it is time for one: at the start of each minute, where the
        setting is a minute.

        A failure of the database never ends the turn of the dispatcher.
        """
        look = int(time.time() // conf().alerts.look_seconds)
        if look == self._look:
            return
        self._look = look
        try:
            judge_alerts(sample_backlog())
        except DatabaseError as error:
            logger.warning("The backlog was not sampled: %s", type(error).__name__)


def sample_backlog() -> list[SubscriberOverview]:
    """Write what is owed now as the backlog of this minute and hour; returns it."""
    now = datetime.now(UTC)
    minute = now.replace(second=0, microsecond=0)
    began = {Span.MINUTE: minute, Span.HOUR: minute.replace(minute=0)}
    overviews = subscribers_overview()
    rows = [
        Rollup(span=span, began_at=began_at, **columns)
        for each in overviews
        for columns in _columns(each, now)
        for span, began_at in began.items()
    ]
    Rollup.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["span", "began_at", "measure", "subscriber_id", "label"],
        update_fields=["count", "seconds"],
    )
    return overviews


def _columns(
    overview: SubscriberOverview, now: datetime
) -> Iterator[dict[str, object]]:
    oldest = overview.oldest_owed_at or now
    backlog = overview.backlog
    for label in ("moving", "waiting", "held"):
        yield {
            "measure": Measure.BACKLOG,
            "subscriber_id": overview.subscriber.pk,
            "label": label,
            "count": getattr(backlog, label),
            "seconds": max(0.0, (now - oldest).total_seconds()),
        }
