from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import import_string
from kombu.transport import redis


class ChaosConfig(AppConfig):
    name = "tests.chaos.project"
    label = "chaos"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        if settings.IS_NAIVE:
            # The router's cure is not plain Celery's.
            redis.Channel.QoS = redis.QoS
        else:
            import_string("tests.chaos.project.breaking_points.install")()
