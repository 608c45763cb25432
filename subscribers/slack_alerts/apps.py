from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SlackAlertsConfig(AppConfig):
    name = "subscribers.slack_alerts"
    label = "slack_alerts"
    verbose_name = _("Slack alerts")
    default_auto_field = "django.db.models.BigAutoField"
