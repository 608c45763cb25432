"""Operators act, viewers read: the two groups that the router creates."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.management import create_permissions
from django.db import DEFAULT_DB_ALIAS

VIEWERS = "Viewers"
OPERATORS = "Operators"
OPERATING = ("remediate_failedtask", "change_subscriber")


def ensure_roles(
    app_config: AppConfig | None = None, using: str = DEFAULT_DB_ALIAS, **_: Any
) -> None:
    """Give both groups the router's permissions (a receiver of `post_migrate`).

    It only adds: what else an administrator gave to a group stays.
    """
    router = app_config or apps.get_app_config("router")
    create_permissions(router, verbosity=0, using=using)
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    of_router = permissions.filter(content_type__app_label=router.label)
    looking = list(of_router.filter(codename__startswith="view_"))
    operating = list(of_router.filter(codename__in=OPERATING))
    groups = apps.get_model("auth", "Group").objects.using(using)
    groups.get_or_create(name=VIEWERS)[0].permissions.add(*looking)
    groups.get_or_create(name=OPERATORS)[0].permissions.add(*looking, *operating)
