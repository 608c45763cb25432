"""Opens and closes alerts: a dispatcher judges every subscriber once a minute.

What was seen is kept in a row for each subscriber and rule, so that a restart forgets
nothing. Of several dispatchers, the one whose statement changes the row publishes: the
first alert of an incident when it opens, and the last one when it is over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from router.conf import conf
from router.contract.errors import RouterError
from router.contract.hysteresis import Hysteresis, Reading, Step
from router.models import Alert, AlertRule, Clock, LogHead, Subscriber
from router.observe.alerts.notices import (
    is_about_notices_alone,
    publish_closed,
    publish_opened,
)
from router.observe.alerts.readings import (
    failure_rates,
    readings,
    unreachable_since,
)
from router.observe.overview import SubscriberOverview

logger = logging.getLogger(__name__)

#: Of a subscriber that was deleted.
CALM = Reading(value=0, limit=0)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What to do about one rule of one subscriber."""

    step: Step
    rule: AlertRule
    reading: Reading
    #: None where nothing is watched yet.
    row: Alert | None
    #: None where the subscriber was deleted.
    overview: SubscriberOverview | None


def judge_alerts(overviews: Sequence[SubscriberOverview]) -> None:
    """Open and close the alerts of these subscribers, which are all there are.

    Three statements where nothing changes, whatever the number of subscribers.
    """
    now = _now()
    judged = [each for each in _judge(overviews, now) if each.step is not Step.NOTHING]
    _keep(judged, now)
    # What opens in the same minute as the rest is over still joins the incident.
    for step, act in ((Step.OPEN, _open), (Step.CLOSE, _close)):
        for each in judged:
            if each.step is step:
                _publish(each, act, now)


def _now() -> datetime:
    """By the database's clock."""
    head = LogHead.objects.annotate(now=Clock()).values_list("now", flat=True).first()
    return head or timezone.now()


def _judge(overviews: Sequence[SubscriberOverview], now: datetime) -> Iterator[Judged]:
    rates = failure_rates(now)
    watched = {(row.subscriber_id, row.rule): row for row in Alert.objects.all()}
    hysteresis = Hysteresis(
        opens_after=conf().alerts.opens_after_seconds,
        closes_after=conf().alerts.closes_after_seconds,
    )
    for overview in overviews:
        pk = overview.subscriber.pk
        outage = watched.get((pk, AlertRule.UNREACHABLE))
        for rule, reading in readings(
            overview,
            now=now,
            failure_rate=rates.get(pk, 0.0),
            is_outage_announced=bool(outage and outage.opened_at),
        ):
            row = watched.pop((pk, rule), None)
            step = hysteresis.step(row.watched if row else None, reading, now)
            yield Judged(
                step=step, rule=rule, reading=reading, row=row, overview=overview
            )
    # During an outage the other rules have no reading: they stay as they are.
    known = {each.subscriber.pk for each in overviews}
    yield from (
        _gone(row) for row in watched.values() if row.subscriber_id not in known
    )


def _gone(row: Alert) -> Judged:
    """The subscriber was deleted."""
    step = Step.CLOSE if row.opened_at else Step.FORGET
    return Judged(
        step=step, rule=AlertRule(row.rule), reading=CALM, row=row, overview=None
    )


def _keep(judged: Sequence[Judged], now: datetime) -> None:
    """Write what is not published: at most one statement for each kind of step."""
    new = [
        Alert(
            subscriber=each.overview.subscriber, rule=each.rule, since=_since(each, now)
        )
        for each in judged
        if each.step is Step.WATCH and each.overview
    ]
    if new:
        # Another dispatcher may have seen the same.
        Alert.objects.bulk_create(new, ignore_conflicts=True)
    opened = Alert.objects.opened()
    if pks := _rows(judged, Step.FORGET):
        Alert.objects.pending().filter(pk__in=pks).delete()
    if pks := _rows(judged, Step.CALM):
        opened.filter(pk__in=pks, calm_since__isnull=True).update(calm_since=now)
    if pks := _rows(judged, Step.STIR):
        opened.filter(pk__in=pks).update(calm_since=None)


def _rows(judged: Iterable[Judged], step: Step) -> list[int]:
    return [each.row.pk for each in judged if each.step is step and each.row]


def _since(judged: Judged, now: datetime) -> datetime:
    if judged.rule is AlertRule.UNREACHABLE and judged.overview:
        return unreachable_since(judged.overview.subscriber) or now
    return now


def _open(judged: Judged, now: datetime) -> None:
    row, overview, reading = _row_of(judged), judged.overview, judged.reading
    # Failing to deliver a notice must not make another notice, and so on for ever.
    if overview is None or is_about_notices_alone(overview):
        return
    others = Alert.objects.locked_of(row.subscriber_id)
    joined = next((each for each in others if each.explains(judged.rule, now)), None)
    row.value, row.limit = reading.value, reading.limit
    columns: dict[str, Any] = joined.incident if joined else {"opened_at": now}
    columns |= {"value": row.value, "limit": row.limit}
    if Alert.objects.pending().filter(pk=row.pk).update(**columns) and not joined:
        publish_opened(row, overview, now)


def _close(judged: Judged, now: datetime) -> None:
    row, overview = _row_of(judged), judged.overview
    others = Alert.objects.locked_of(row.subscriber_id)
    calm = Alert.objects.opened().filter(pk=row.pk, calm_since=row.calm_since)
    if calm.delete()[0] and not _goes_on(row, others):
        known = Subscriber.objects.defer("custom_headers")
        subscriber = (
            overview.subscriber if overview else known.get(pk=row.subscriber_id)
        )
        publish_closed(row, subscriber, overview, over_at=row.calm_since or now)


def _goes_on(row: Alert, others: Iterable[Alert]) -> bool:
    """Whether another alert of the row's incident is open."""
    return any(
        each.opened_at and each.incident_id == row.incident_id and each.pk != row.pk
        for each in others
    )


def _row_of(judged: Judged) -> Alert:
    assert judged.row is not None  # nosec B101  # only what is watched has these steps
    return judged.row


def _publish(
    judged: Judged, act: Callable[[Judged, datetime], None], now: datetime
) -> None:
    """The row changes with the event, or neither does: the next minute tries again."""
    try:
        with transaction.atomic():
            act(judged, now)
    except RouterError:
        logger.exception("The notice of %s was not published", judged.row)
