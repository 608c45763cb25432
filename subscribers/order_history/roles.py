"""The group of the people who may read the company's sales."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.management import create_permissions

SALES = "Sales"
CODENAMES = ("view_sales", "view_purchaserecord")


def ensure_sales_group(app_config: AppConfig, using: str, **_: Any) -> None:
    """Give the group its permissions (a receiver of `post_migrate`).

    It only adds: what else an administrator gave to the group stays.
    """
    create_permissions(app_config, verbosity=0, using=using)
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    mine = permissions.filter(
        content_type__app_label=app_config.label, codename__in=CODENAMES
    )
    groups = apps.get_model("auth", "Group").objects.using(using)
    groups.get_or_create(name=SALES)[0].permissions.add(*mine)
