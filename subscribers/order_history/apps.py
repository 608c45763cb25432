from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from subscribers.order_history.checks import check_settings
from subscribers.order_history.roles import ensure_sales_group


class OrderHistoryConfig(AppConfig):
    name = "subscribers.order_history"
    label = "order_history"
    verbose_name = _("Order history")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        checks.register(check_settings)
        post_migrate.connect(ensure_sales_group, sender=self)
