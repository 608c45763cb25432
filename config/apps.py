from __future__ import annotations

from django.apps import AppConfig
from django.db.backends.signals import connection_created

from config.databases import close_to_others


class SiteConfig(AppConfig):
    """The composition root as an app: it brings `manage.py up` and the joined pages."""

    name = "config"
    verbose_name = "Fanfare"

    def ready(self) -> None:
        connection_created.connect(close_to_others)
        from config import (
            checks,  # Not above: they import models, which need every app.
        )
