from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _

from subscribers.receipts.checks import check_settings


class ReceiptsConfig(AppConfig):
    name = "subscribers.receipts"
    label = "receipts"
    verbose_name = _("Receipts")

    def ready(self) -> None:
        checks.register(check_settings)
