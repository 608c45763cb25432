"""Every act of a person or a program leaves a line: who, what, why, with the change.

A new call of the API, page of the admin or command has to be named here.
"""

from __future__ import annotations

import getpass
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django.test import Client
from django.urls import reverse

from router.management import commands
from router.models import (
    ApiKey,
    AuditEntry,
    Delivery,
    EventSchema,
    FailedTask,
    IngressFailedTask,
    PortalLink,
    Run,
    SigningSecret,
    Subscriber,
)
from tests.integration.acted_on import rows
from tests.integration.acts import BY_ADMIN, BY_API, WHY, call, operations, post
from tests.integration.staff import admins

#: What programs do with events: kept as events, deliveries and attempts.
WITH_EVENTS = {"publish_events", "pull", "ack", "nack", "release", "extend"}
#: What is posted and changes nothing.
LOOKS = {"preview_filter"}
OF_DJANGO = {"changelist", "history", "delete", "change"}
#: Pages of the router that show, and change nothing.
SHOWS = {
    "find", "explain", "story", "export_csv", "export_json", "object", "attempts",
}  # fmt: skip

#: Command → its arguments.
BY_COMMAND = {
    "create_api_key": ("api_key.created", ["new", "--scopes", "publish"]),
    "revoke_api_key": ("api_key.revoked", ["old"]),
    "create_portal_link": ("portal_link.created", ["crm"]),
    "rotate_encryption_key": ("encryption_key.rotated", []),
    "prune": ("log.pruned", ["--days", "30"]),
    "backfill": ("run.begun", ["early", "--from", "beginning", "--no-wait"]),
    "replay": ("run.begun", ["ready", "--from", "beginning", "--no-wait"]),
    "import_history": ("log.import_closed", ["--close"]),
    "test_alert": ("subscriber.alert_tested", ["mail"]),
    "retry_failed": ("ramped_retry.begun", ["mail", "--no-wait"]),
    "erase_customer": ("customer.erased", ["ada@example.com", "--no-input"]),
}
#: They change no setting: they read, run, or publish events.
NO_ACTS = {
    "bridge",
    "dispatch",
    "doctor",
    "explain",
    "listen",
    "publish",
    "status",
    "tail",
}


make_rows = rows


@pytest.fixture
def world(shared_rows: dict[str, Any]) -> dict[str, Any]:
    return shared_rows


def pages() -> set[str]:
    """Every page of the router's admin that may change something."""
    names = set()
    user = User(is_superuser=True, is_staff=True, is_active=True)
    for model, shown in admins().items():
        if model._meta.app_label != "router":
            continue
        request: Any = type("Request", (), {"user": user})
        for url in shown.get_urls():
            page = (url.name or "").removeprefix("router_")
            kind = page.partition("_")[2]
            is_addable = kind != "add" or shown.has_add_permission(request)
            if page and kind not in OF_DJANGO | SHOWS and is_addable:
                names.add(page)
    return names


def by_carla(name: str, world: dict[str, Any]) -> Any:
    """The answer to the act of a superuser in the admin."""
    client = Client()
    client.force_login(User.objects.create_superuser("carla"))
    return post(client, name, world)


def acted() -> QuerySet[AuditEntry]:
    """What was noted since the rows to act on were made."""
    return AuditEntry.objects.exclude(action="tests.begun")


def audit_lines() -> list[tuple[str, str, str]]:
    return list(acted().values_list("actor", "action", "reason"))


def test_no_operation_of_the_api_escapes() -> None:
    assert {name for name, _ in operations()} == set(BY_API) | WITH_EVENTS | LOOKS


def test_no_page_of_the_admin_escapes() -> None:
    assert pages() == set(BY_ADMIN)


def test_no_command_escapes() -> None:
    names = {module.name for module in pkgutil.iter_modules(commands.__path__)}
    assert names == set(BY_COMMAND) | NO_ACTS


@pytest.mark.parametrize("name", BY_API)
def test_the_api_leaves_a_line(client: Client, name: str, world: Any) -> None:
    response = call(client, name, world)
    assert response.status_code < 300, response.content
    assert audit_lines() == [("key manager", BY_API[name].action, WHY)]


@pytest.mark.parametrize("name", BY_ADMIN)
def test_the_admin_leaves_a_line(name: str, world: Any) -> None:
    response = by_carla(name, world)
    assert response.status_code < 400, response.content
    assert audit_lines() == [("user carla", BY_ADMIN[name].action, WHY)]


@pytest.mark.parametrize("name", BY_COMMAND)
def test_a_command_leaves_a_line(name: str, world: Any) -> None:
    action, arguments = BY_COMMAND[name]
    call_command(name, *arguments, "--reason", WHY)
    assert audit_lines() == [(f"command {getpass.getuser()}", action, WHY)]


def state() -> list[Any]:
    """All that an act may change."""
    models = (
        ApiKey,
        Delivery,
        EventSchema,
        FailedTask,
        IngressFailedTask,
        PortalLink,
        Run,
        SigningSecret,
        Subscriber,
    )
    unchanged = {"calls_count", "minute", "last_used_at"}
    return [
        [
            {name: row[name] for name in row if name not in unchanged}
            for row in model.objects.exclude(pk__in=_callers(model)).values()
        ]
        for model in models
    ]


def _callers(model: Any) -> Any:
    callers = ApiKey.objects.filter(name="manager")
    return callers.values("pk") if model is ApiKey else []


def no_line(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
    if "INSERT INTO" in sql and AuditEntry._meta.db_table in sql:
        raise DatabaseError("The audit is full.")
    return execute(sql, *rest)


@pytest.mark.parametrize("name", BY_API)
def test_without_its_line_no_change_is_kept_by_the_api(
    client: Client, name: str, world: Any
) -> None:
    before = state()
    with connection.execute_wrapper(no_line):
        assert call(client, name, world).status_code == 500
    assert state() == before


@pytest.mark.parametrize("name", BY_ADMIN)
def test_without_its_line_no_change_is_kept_by_the_admin(name: str, world: Any) -> None:
    before = state()
    with connection.execute_wrapper(no_line), pytest.raises(DatabaseError):
        by_carla(name, world)
    assert state() == before


def test_a_change_says_what_it_was_and_what_it_is(world: Any) -> None:
    by_carla("subscriber_schedule", world)
    entry = acted().get()
    assert entry.detail == "max_failures: – → 3"
    assert entry.changes == {"max_failures": [None, 3]}


def test_a_form_that_changes_one_field_names_that_field_alone(world: Any) -> None:
    by_carla("subscriber_edit", world)
    entry = acted().get()
    assert entry.detail == "title: crm → The CRM"
    assert entry.changes == {"title": ["crm", "The CRM"]}


def test_the_list_shows_who_did_what_and_why(world: Any) -> None:
    by_carla("subscriber_pause", world)
    viewer = Client()
    viewer.force_login(User.objects.get(username="carla"))
    shown = viewer.get(reverse("admin:router_auditentry_changelist")).content.decode()
    for words in ("user carla", "subscriber.paused", "subscriber crm", WHY):
        assert words in shown
