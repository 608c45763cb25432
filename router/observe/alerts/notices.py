"""The events of an alert: one when it opens, one when it is over.

They leave for people and programs outside: no event's data, no secret.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils import translation

from router.contract.times import format_time
from router.flow.publish.publishing import publish_notice
from router.flow.publish.recording import Published
from router.models import (
    OWN_TYPES,
    Alert,
    AlertRule,
    Delivery,
    FailedTask,
    Subscriber,
)
from router.observe.alerts.cause import cause_given_up, cause_owed
from router.observe.incidents import (
    delivery_in_words,
    events_in_words,
    failed_tasks_in_words,
    failing_in_words,
)
from router.observe.overview import SubscriberOverview
from router.observe.pages import absolute, failed_tasks_page, subscriber_page
from router.observe.wording import span

logger = logging.getLogger(__name__)

OPENED = "router.alert.opened"
CLOSED = "router.alert.closed"
#: Programs read alerts too, and the audit and other pages quote them.
ENGLISH = "en"
#: In place of a rule.
TEST = "test"


def is_about_notices_alone(overview: SubscriberOverview) -> bool:
    """Whether all that the subscriber is owed, or was given up, are events of the
    router itself. Two statements."""
    own = Q(subscriber=overview.subscriber, event__type__startswith=OWN_TYPES)
    notices = Delivery.objects.open().filter(own).count()
    notices += FailedTask.objects.open().filter(own).count()
    owed = overview.waiting + overview.working + overview.open_failed
    return 0 < owed <= notices


@translation.override(ENGLISH)
def publish_opened(row: Alert, overview: SubscriberOverview, now: datetime) -> None:
    """In the caller's transaction, which marks the row as opened."""
    is_of_tasks = row.rule == AlertRule.OPEN_FAILED_TASKS
    cause = (cause_given_up if is_of_tasks else cause_owed)(overview)
    status = _status(row, overview, cause, now)
    logger.warning(
        "Alert: %s %s", overview.subscriber.name, row.rule,
        extra={"subscriber": overview.subscriber.name},
    )  # fmt: skip
    data = _data(row.pk, row.rule, overview.subscriber, overview, now)
    data |= {"cause": cause, "status": status, "since": format_time(row.since)}
    data |= {"value": row.value, "limit": row.limit}
    publish_notice(OPENED, data, subject=overview.subscriber.name)


@translation.override(ENGLISH)
def publish_closed(
    row: Alert,
    subscriber: Subscriber,
    overview: SubscriberOverview | None,
    *,
    over_at: datetime,
) -> None:
    """In the caller's transaction, which deletes the incident's last row; without
    `overview` the subscriber was deleted."""
    logger.info(
        "Alert over: %s %s", subscriber.name, row.incident_rule,
        extra={"subscriber": subscriber.name},
    )  # fmt: skip
    seconds = max(0.0, (over_at - row.since).total_seconds())
    rule = row.incident_rule
    data = _data(row.incident_id, rule, subscriber, overview, over_at)
    data |= {"status": f"over after {span(seconds)}. {_left(overview)}"}
    data |= {"since": format_time(row.since), "seconds": round(seconds, 3)}
    publish_notice(CLOSED, data, subject=subscriber.name)


def _left(overview: SubscriberOverview | None) -> str:
    if overview is None:
        return "The subscriber is deleted."
    owed = f"{events_in_words(overview)} owed."
    return owed if overview.waiting else "Nothing is owed."


@translation.override(ENGLISH)
def publish_test(overview: SubscriberOverview, *, now: datetime) -> Published:
    """An alert that says that it is a test, of a subscriber as it is."""
    data = _data(None, TEST, overview.subscriber, overview, now)
    status = "a test: an operator asked for it. Nothing has to be done."
    data |= {"cause": "", "status": status, "since": format_time(now)}
    return publish_notice(OPENED, data, subject=overview.subscriber.name)


def _data(
    pk: int | None,
    rule: str,
    subscriber: Subscriber,
    overview: SubscriberOverview | None,
    now: datetime,
) -> dict[str, Any]:
    """What both events have."""
    return {
        "alert": {"id": pk, "rule": rule, "is_test": rule == TEST},
        "subscriber": {"name": subscriber.name, "title": subscriber.title},
        "backlog": _backlog(overview, now),
        "open_failed_tasks": overview.open_failed if overview else 0,
        "link": absolute(_page(rule, subscriber, overview)),
    }


def _backlog(overview: SubscriberOverview | None, now: datetime) -> dict[str, Any]:
    if overview is None:
        return {"events": 0, "has_more": False, "oldest_seconds": None}
    oldest = overview.oldest_owed_at
    age = max(0.0, (now - oldest).total_seconds()) if oldest else None
    return {
        "events": overview.waiting + overview.working,
        "has_more": overview.has_more_waiting,
        "oldest_seconds": None if age is None else round(age, 3),
    }


def _page(
    rule: str, subscriber: Subscriber, overview: SubscriberOverview | None
) -> str:
    if rule == AlertRule.OPEN_FAILED_TASKS and overview:
        return failed_tasks_page(subscriber.pk, overview.only_cause_id)
    return subscriber_page(subscriber.pk) if overview else ""


def _status(row: Alert, overview: SubscriberOverview, cause: str, now: datetime) -> str:
    """What is wrong, in words."""
    match row.rule:
        case AlertRule.OPEN_FAILED_TASKS:
            return failed_tasks_in_words(overview, cause)
        case AlertRule.FAILURE_RATE:
            return failing_in_words(row.value, cause)
    return delivery_in_words(overview, cause, now)
