from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """The composition root as an app: it brings `manage.py up` and the joined pages."""

    name = "config"
    verbose_name = "Fanfare"

    def ready(self) -> None:
        import_module("config.checks")
