from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OrderHistoryConfig(AppConfig):
    name = "subscribers.order_history"
    label = "order_history"
    verbose_name = _("Order history")
    default_auto_field = "django.db.models.BigAutoField"
