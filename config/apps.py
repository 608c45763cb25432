from __future__ import annotations

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """The composition root as an app: it brings `manage.py up` and the joined pages."""

    name = "config"
    verbose_name = "Fanfare"

    def ready(self) -> None:
        from config import (
            checks,  # Not above: they import models, which need every app.
        )
