"""Viewers read, operators act, managers set up: the groups that the router creates."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.management import create_permissions
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_lazy

VIEWERS = "Viewers"
OPERATORS = "Operators"
MANAGERS = "Managers"
#: Group → what a member is called. Each may do all that those before it may.
ROLES = {
    VIEWERS: gettext_lazy("Viewer"),
    OPERATORS: gettext_lazy("Operator"),
    MANAGERS: gettext_lazy("Manager"),
}
#: Permission → the first group that has it; the others begin with `view_`, for viewers.
#: What each permission opens is a table of docs/security-model.md.
ACTS = {
    "remediate_failedtask": OPERATORS,
    "change_subscriber": OPERATORS,
    "add_auditentry": OPERATORS,
    "add_subscriber": MANAGERS,
    "add_apikey": MANAGERS,
    "change_apikey": MANAGERS,
    "add_eventschema": MANAGERS,
    "change_eventschema": MANAGERS,
}


def may(request: HttpRequest, permission: str) -> bool:
    """Whether the person who asks has this permission of the router."""
    return request.user.has_perm(f"router.{permission}")


def needed(permission: str) -> str:
    """Which role a person lacks who does not have this permission of the router."""
    role = ROLES[ACTS.get(permission, VIEWERS)]
    return gettext("Needs the role %(role)s") % {"role": role}


def ensure_roles(
    app_config: AppConfig | None = None, using: str = DEFAULT_DB_ALIAS, **_: Any
) -> None:
    """Give each group its permissions of the router (a receiver of `post_migrate`).

    It only adds: what else an administrator gave to a group stays.
    """
    router = app_config or apps.get_app_config("router")
    create_permissions(router, verbosity=0, using=using)
    permissions = apps.get_model("auth", "Permission").objects.using(using)
    of_router = permissions.filter(content_type__app_label=router.label)
    groups = apps.get_model("auth", "Group").objects.using(using)
    held = list(of_router.filter(codename__startswith="view_"))
    for name in ROLES:
        codenames = [act for act, group in ACTS.items() if group == name]
        held += of_router.filter(codename__in=codenames)
        groups.get_or_create(name=name)[0].permissions.add(*held)
