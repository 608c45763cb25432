"""What the rules for alerts say of each subscriber now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, Sum

from router.conf import conf
from router.contract.hysteresis import Reading
from router.models import (
    AlertRule,
    AttemptResult,
    Measure,
    Rollup,
    Span,
    Subscriber,
    SubscriberState,
)
from router.observe.overview import SubscriberOverview

#: The failure rate is that of the attempts of so many minutes.
RATE_MINUTES = 10
#: Of fewer attempts, a rate says nothing.
MIN_ATTEMPTS = 10
#: A rule whose limit people set → its name in the settings.
LIMIT_OF = {
    AlertRule.BACKLOG_AGE: "backlog_age_seconds",
    AlertRule.FAILURE_RATE: "failure_rate",
    AlertRule.OPEN_FAILED_TASKS: "open_failed_tasks",
}


def limits_of(subscriber: Subscriber) -> dict[str, float]:
    """The limits in force: the subscriber's own, else those of the settings; 0: the
    rule is off."""
    own: Mapping[str, float | None] = subscriber.alert_rules
    defaults = {name: getattr(conf().alerts, name) for name in LIMIT_OF.values()}
    return defaults | {name: each for name, each in own.items() if each is not None}


def unreachable_since(subscriber: Subscriber) -> datetime | None:
    """When the present outage began, or the router disabled it; None where neither."""
    if subscriber.incident_since is not None:
        return subscriber.incident_since
    is_disabled = subscriber.state == SubscriberState.DISABLED
    return subscriber.state_changed_at if is_disabled else None


def readings(
    overview: SubscriberOverview,
    *,
    now: datetime,
    failure_rate: float,
    is_outage_announced: bool,
) -> Iterator[tuple[AlertRule, Reading]]:
    """Each rule that applies now, and its reading."""
    limits = limits_of(overview.subscriber)
    is_unreachable = unreachable_since(overview.subscriber) is not None
    values: dict[AlertRule, float] = {AlertRule.OPEN_FAILED_TASKS: overview.open_failed}
    # An outage explains these two, and is announced once. Its backlog is still old for
    # a while after it.
    if not (is_unreachable or is_outage_announced):
        oldest = overview.oldest_owed_at or now
        values[AlertRule.BACKLOG_AGE] = (now - oldest).total_seconds()
        values[AlertRule.FAILURE_RATE] = failure_rate
    yield AlertRule.UNREACHABLE, Reading(value=float(is_unreachable), limit=1)
    for rule, value in values.items():
        yield rule, Reading(value=value, limit=limits[LIMIT_OF[rule]])


def failure_rates(now: datetime) -> dict[int, float]:
    """Primary key of a subscriber → the share of its last attempts that failed. Those
    with few attempts are left out. One statement."""
    since = now - timedelta(minutes=RATE_MINUTES)
    rows = Rollup.objects.filter(
        span=Span.MINUTE, began_at__gte=since, measure=Measure.ATTEMPTS
    )
    acknowledged = Q(label=AttemptResult.ACKNOWLEDGED.lower())
    counted: Any = (
        rows.order_by()
        .values("subscriber_id")
        .annotate(total=Sum("count"), failed=Sum("count", filter=~acknowledged))
    )
    return {
        row["subscriber_id"]: (row["failed"] or 0) / row["total"]
        for row in counted
        if row["total"] >= MIN_ATTEMPTS
    }
