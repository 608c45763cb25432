"""Slack alerts: for each order, and for what needs attention."""

from __future__ import annotations

from django.conf import settings

from router.public import Event, subscriber
from subscribers.alert import CLOSED, OPENED
from subscribers.slack_alerts.alerts import THROTTLED, alert_for
from subscribers.slack_alerts.files import write
from subscribers.slack_alerts.posting import post


def missing() -> str | None:
    """How to set Slack up where it is not; None when alerts can go out."""
    if settings.SLACK_WEBHOOK_URL or settings.DEBUG:
        return None
    return (
        "Set SLACK_WEBHOOK_URL to the address of an incoming webhook (Slack: your app, "
        "Features, Incoming Webhooks). Until then alerts wait here; none is lost."
    )


@subscriber(
    "slack_alerts",
    events=["purchase.completed", OPENED, CLOSED, THROTTLED],
    title="Team alert",
    is_transactional=False,
    missing=missing,
)
def alert_team(event: Event) -> None:
    """Post the alert, or write it to a file where debug has no Slack."""
    alert = alert_for(event)
    if alert is None:
        return
    if settings.SLACK_WEBHOOK_URL:
        post(alert, url=settings.SLACK_WEBHOOK_URL)
    else:
        write(alert, event=event)
