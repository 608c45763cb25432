from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

from router.conf import conf
from router.model_names import translate_names
from router.task_queues import has_framework, names_backend


class RouterConfig(AppConfig):
    name = "router"
    verbose_name = _("Router")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        handlers = conf().handlers
        # Not above: they import models, which need every app.
        from router import (
            checks,
            database_checks,
            portal_checks,
            sources,
            task_checks,
            tracing_checks,
            worker_signals,
        )

        translate_names(self)
        autodiscover_modules("handler", "erasing")
        for dotted in handlers:
            import_module(dotted)
        _declare_task_queues()
        sources.connect_sources()
        worker_signals.connect()
        post_migrate.connect(_register, sender=self)


def _declare_task_queues() -> None:
    if names_backend() and has_framework():
        from router.task_backend.running import declare_queues

        declare_queues()


def _register(app_config: AppConfig, using: str, **given: Any) -> None:
    # `migrate router 0007` ends with a schema that the code's models do not fit.
    if using == "default" and ("plan" not in given or _is_schema_newest(using)):
        from router.groups import ensure_roles
        from router.operate.declared import register_declared

        register_declared()
        ensure_roles(app_config, using)


def _is_schema_newest(using: str) -> bool:
    loader = MigrationLoader(connections[using])
    applied = loader.applied_migrations or {}
    return all(newest in applied for newest in loader.graph.leaf_nodes("router"))
