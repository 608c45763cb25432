from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks
from django.db.backends.signals import connection_created

from config.databases import close_to_others
from router.model_names import translate_names


class SiteConfig(AppConfig):
    """The composition root as an app: it brings `manage.py up` and the joined pages."""

    name = "config"
    verbose_name = "Fanfare"

    def ready(self) -> None:
        connection_created.connect(close_to_others)
        # A site without the store may have another one's events.
        if apps.is_installed("shop"):
            translate_names(apps.get_app_config("shop"))
        # Not above: they import models, which need every app.
        from config import checks as _checks


class AdminConfig(SimpleAdminConfig):
    """Imports the admin of each app with the addresses and for the system checks alone:
    it takes a fifth of the start of a process, and most processes have no pages."""

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(check_pages, checks.Tags.admin)


def check_pages(*arguments: Any, **options: Any) -> list[checks.CheckMessage]:
    admin.autodiscover()
    return check_admin_app(*arguments, **options)
