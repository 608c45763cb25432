from __future__ import annotations

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "benchmarks.orders"
    label = "bench"
    default_auto_field = "django.db.models.BigAutoField"
