"""Alerts by mail, to the addresses of ALERT_MAIL_TO: without any, the app is not
installed."""

from __future__ import annotations

from router.public import Event, subscriber
from subscribers.alert import CLOSED, OPENED
from subscribers.mail_alerts.mail import alert_mail
from subscribers.sending import send


@subscriber(
    "mail_alerts",
    events=[OPENED, CLOSED],
    title="Alert by mail",
    is_transactional=False,
)
def mail_alert(event: Event) -> None:
    """Mail the alert. A second attempt sends the same Message-ID."""
    send(alert_mail(event))
