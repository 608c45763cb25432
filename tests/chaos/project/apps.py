from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import import_string


class ChaosConfig(AppConfig):
    name = "tests.chaos.project"
    label = "chaos"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        if not settings.IS_NAIVE:
            import_string("tests.chaos.project.breaking_points.install")()
