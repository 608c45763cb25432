from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _

from subscribers.mail_alerts.checks import check_settings


class MailAlertsConfig(AppConfig):
    name = "subscribers.mail_alerts"
    label = "mail_alerts"
    verbose_name = _("Mail alerts")

    def ready(self) -> None:
        checks.register(check_settings)
