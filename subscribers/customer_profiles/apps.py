from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CustomerProfilesConfig(AppConfig):
    name = "subscribers.customer_profiles"
    label = "customer_profiles"
    verbose_name = _("Customer profiles")
    default_auto_field = "django.db.models.BigAutoField"
