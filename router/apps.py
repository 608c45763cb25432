from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class RouterConfig(AppConfig):
    name = "router"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        conf = import_module("router.conf").conf()
        import_module("router.checks")
        import_module("router.database_checks")
        autodiscover_modules("handler")
        for dotted in conf.handlers:
            import_module(dotted)
        import_module("router.sources").connect_sources()
        import_module("router.worker_signals").connect()
        import_module("router.messaging.redis_qos").install()
        post_migrate.connect(_register, sender=self)


def _register(app_config: AppConfig, using: str, **given: Any) -> None:
    # `migrate router 0007` ends with a schema that the code's models do not fit.
    if using == "default" and ("plan" not in given or _is_schema_newest(using)):
        import_module("router.operate.declared").register_declared()
        import_module("router.groups").ensure_roles(app_config, using)


def _is_schema_newest(using: str) -> bool:
    loader = MigrationLoader(connections[using])
    applied = loader.applied_migrations or {}
    return all(newest in applied for newest in loader.graph.leaf_nodes("router"))
