"""Every act of a person or a program leaves a line: who, what, why, with the change.

A new call of the API, page of the admin or command has to be named here.
"""

from __future__ import annotations

import getpass
import json
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.transaction import TransactionManagementError
from django.test import Client
from django.urls import reverse

from router.flow import audit
from router.management import commands
from router.models import (
    ApiKey,
    AuditEntry,
    Delivery,
    EventSchema,
    FailedTask,
    IngressFailedTask,
    Run,
    Scope,
    SigningSecret,
    Subscriber,
)
from tests.integration.acted_on import A_SCHEMA, AN_EVENT, UNNOTED, WEBHOOK, rows
from tests.integration.api import description, send
from tests.integration.staff import admins

pytestmark = pytest.mark.usefixtures("empty_router")

WHY = "the warehouse moves"


@dataclass(frozen=True)
class Act:
    """How it is done, the line that it leaves, and what it changes."""

    action: str
    path: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    reason: str = "reason"


#: Operation of the API → how to do it. The path may name the rows of `world`.
BY_API = {
    "create_subscriber": Act(
        "subscriber.created", "subscribers/", {**WEBHOOK, "name": "new"}
    ),
    "change_subscriber": Act(
        "subscriber.changed", "subscribers/crm/", {"title": "The CRM"}
    ),
    "delete_subscriber": Act("subscriber.deleted", "subscribers/crm/"),
    "pause_subscriber": Act("subscriber.paused", "subscribers/crm/pause/"),
    "resume_subscriber": Act("subscriber.resumed", "subscribers/held/resume/"),
    "test_subscriber": Act("subscriber.tested", "subscribers/crm/test/"),
    "test_target": Act(
        "target.tried",
        "targets/test/",
        {"transport": "amqp", "target": {"url": "amqp://127.0.0.1:1"}},
    ),
    "rotate_secret": Act("subscriber.secret_rotated", "subscribers/crm/rotate-secret/"),
    "retry_failed_task": Act(
        "failed_task.retried", "failed-tasks/{task}/retry/", reason="note"
    ),
    "discard_failed_task": Act(
        "failed_task.discarded", "failed-tasks/{task}/discard/", reason="note"
    ),
    "edit_and_retry_failed_task": Act(
        "failed_task.edited",
        "failed-tasks/{task}/edit-and-retry/",
        {"data": {"n": 1}},
        reason="note",
    ),
    "redirect_failed_task": Act(
        "failed_task.redirected",
        "failed-tasks/{task}/redirect/",
        {"subscriber": "held"},
        reason="note",
    ),
    "restore_failed_task": Act(
        "failed_task.restored", "failed-tasks/{settled}/restore/", reason="note"
    ),
    "retry_failed_task_group": Act(
        "ramped_retry.begun", "failed-tasks/groups/{group}/retry/", reason="note"
    ),
    "cancel_failed_task_group_retry": Act(
        "ramped_retry.cancelled",
        "failed-tasks/groups/{ramped}/cancel-retry/",
        reason="note",
    ),
    "discard_failed_task_group": Act(
        "failed_task_group.discarded",
        "failed-tasks/groups/{group}/discard/",
        reason="note",
    ),
    "retry_failed_tasks_of_subscriber": Act(
        "ramped_retry.begun", "subscribers/mail/retry-failed-tasks/", reason="note"
    ),
    "discard_ingress_failed_task": Act(
        "ingress_failed_task.discarded",
        "ingress-failed-tasks/{ingress}/discard/",
        reason="note",
    ),
    "resend_delivery": Act("delivery.resent", "deliveries/{done}/resend/"),
    "resend_event": Act(
        "delivery.resent", "events/{event}/resend/", {"subscriber": "crm"}
    ),
    "try_subscriber_now": Act("subscriber.tried_now", "subscribers/down/try-now/"),
    "close_breaker": Act(
        "subscriber.breaker_closed", "subscribers/down/close-breaker/"
    ),
    "skip_delivery": Act("delivery.skipped", "deliveries/{waiting}/skip/"),
    "retire_schema": Act("schema.retired", "schemas/{schema}/"),
    "begin_run": Act(
        "run.begun", "subscribers/ready/runs/", {"kind": "replay", "from": "beginning"}
    ),
    "change_run": Act("run.paused", "subscribers/late/runs/1/", {"state": "paused"}),
    "cancel_run": Act("run.cancelled", "subscribers/late/runs/1/"),
    "register_schema": Act(
        "schema.registered", "schemas/", {"type": "parcel.lost", "schema": A_SCHEMA}
    ),
}
#: What programs do with events: kept as events, deliveries and attempts.
WITH_EVENTS = {"publish_events", "pull", "ack", "nack", "release", "extend"}
#: What is posted and changes nothing.
LOOKS = {"preview_filter"}

#: Page of the admin → what is posted to it.
BY_ADMIN = {
    "subscriber_add": Act("subscriber.created", "", {**WEBHOOK, "name": "new"}),
    "subscriber_edit": Act(
        "subscriber.changed", "{crm}", {**WEBHOOK, "title": "The CRM"}
    ),
    "subscriber_remove": Act("subscriber.deleted", "{crm}"),
    "subscriber_rotate": Act("subscriber.secret_rotated", "{crm}"),
    "subscriber_pause": Act("subscriber.paused", "{crm}"),
    "subscriber_resume": Act("subscriber.resumed", "{held}"),
    "subscriber_test": Act("subscriber.tested", "{crm}"),
    "subscriber_try_now": Act("subscriber.tried_now", "{down}"),
    "subscriber_close_breaker": Act("subscriber.breaker_closed", "{down}"),
    "delivery_skip": Act("delivery.skipped", "{waiting}"),
    "subscriber_schedule": Act("subscriber.schedule_set", "{crm}", {"max_failures": 3}),
    "subscriber_alerts": Act("subscriber.alerts_set", "{crm}", {"failure_rate": "1"}),
    "subscriber_test_alert": Act("subscriber.alert_tested", "{crm}"),
    "subscriber_pace": Act("subscriber.pace_set", "{mail}", {"fixed_queue": "slow"}),
    "subscriber_load_history": Act("run.begun", "{early}", {"preview": "1"}),
    "subscriber_replay": Act("run.begun", "{ready}", {"preview": "1"}),
    "run_pause": Act("run.paused", "{run}"),
    "run_resume": Act("run.resumed", "{idle}"),
    "run_rate": Act("run.rate_changed", "{run}", {"rate_per_second": "5"}),
    "run_cancel": Act("run.cancelled", "{run}"),
    "delivery_resend": Act("delivery.resent", "{done}", {"is_sure": "1"}),
    "eventrecord_resend": Act(
        "delivery.resent", "{event}", {"subscriber": "{crm}", "is_sure": "1"}
    ),
    "ingressfailedtask_publish": Act(
        "ingress_failed_task.published",
        "{ingress}",
        {"event": json.dumps(AN_EVENT)},
        reason="note",
    ),
    "ingressfailedtask_discard": Act(
        "ingress_failed_task.discarded", "{ingress}", reason="note"
    ),
    "ingressfailedtask_discard_all": Act(
        "ingress_failed_task.discarded", "", {"ids": "{ingress}"}, reason="note"
    ),
    "failedtask_settle": Act(
        "failed_task.retried", "", {"verb": "retry", "ids": "{task}"}, reason="note"
    ),
    "failedtask_edit": Act(
        "failed_task.edited", "{task}", {"payload": "[1]", "send": "1"}, reason="note"
    ),
    "failedtask_redirect": Act(
        "failed_task.redirected", "{task}", {"subscriber": "{held}"}, reason="note"
    ),
    "failedtask_notes": Act("failed_task.noted", "{task}", UNNOTED),
    "failedtaskgroup_notes": Act("failed_task_group.noted", "{group}", UNNOTED),
    "failedtask_restore": Act("failed_task.restored", "{settled}"),
    "failedtaskgroup_retry": Act("ramped_retry.begun", "{group}", reason="note"),
    "failedtaskgroup_discard": Act(
        "failed_task_group.discarded", "{group}", reason="note"
    ),
    "failedtaskgroup_retry_since": Act(
        "ramped_retry.begun", "", {"subscriber": "{mail}"}, reason="note"
    ),
    "failedtaskgroup_cancel": Act("ramped_retry.cancelled", "{ramp}"),
    "apikey_add": Act(
        "api_key.created", "", {"name": "n", "scopes": ["publish"], "sources": "*"}
    ),
    "apikey_revoke": Act("api_key.revoked", "{key}"),
    "eventschema_retire": Act("schema.retired", "{schema}"),
    "eventschema_add": Act(
        "schema.registered",
        "",
        {"type": "parcel.lost", "schema": json.dumps(A_SCHEMA)},
    ),
}
OF_DJANGO = {"changelist", "history", "delete", "change"}
#: Pages of the router that show, and change nothing.
SHOWS = {"explain", "story", "export_csv", "export_json"}

#: Command → its arguments.
BY_COMMAND = {
    "create_api_key": ("api_key.created", ["new", "--scopes", "publish"]),
    "revoke_api_key": ("api_key.revoked", ["old"]),
    "rotate_encryption_key": ("encryption_key.rotated", []),
    "prune": ("log.pruned", ["--days", "30"]),
    "backfill": ("run.begun", ["early", "--from", "beginning", "--no-wait"]),
    "replay": ("run.begun", ["ready", "--from", "beginning", "--no-wait"]),
    "import_history": ("log.import_closed", ["--close"]),
    "retry_failed": ("ramped_retry.begun", ["mail", "--no-wait"]),
    "erase_customer": ("customer.erased", ["ada@example.com", "--no-input"]),
}
#: They change no setting: they read, run, or publish events.
NO_ACTS = {"bridge", "dispatch", "doctor", "explain", "publish", "status", "tail"}


@pytest.fixture
def world(db: None) -> dict[str, Any]:
    return rows()


def operations() -> Iterator[tuple[str, str]]:
    """Each operation that is no read, with its method."""
    for path in description()["paths"].values():
        for method, operation in path.items():
            if method != "get":
                yield operation["operationId"], method


def call(client: Client, name: str, world: dict[str, Any]) -> Any:
    act = BY_API[name]
    method = dict(operations())[name]
    body, query = {**act.body, act.reason: WHY}, ""
    if method == "delete":
        body, query = {}, f"?reason={WHY}"
    _, key = ApiKey.make("manager", scopes=[Scope.MANAGE, Scope.TARGETS])
    path = f"{act.path.format(**world)}{query}"
    return send(client, method.upper(), path, body, key=key)


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


def post(name: str, world: dict[str, Any]) -> Any:
    act = BY_ADMIN[name]
    client = Client()
    client.force_login(User.objects.create_superuser("carla"))
    args = [act.path.format(**world)] if act.path else []
    body = {**act.body, act.reason: WHY}
    for key in {"ids", "subscriber"} & body.keys():
        body[key] = body[key].format(**world)
    page = reverse(f"admin:router_{name}", args=args)
    if body.pop("preview", None):
        shown = client.post(page, {"preview": "1", **body}).content.decode()
        found = re.search(r'name="previewed" value="(\w+)"', shown)
        body |= {"begin": "1", "previewed": found[1] if found else ""}
    return client.post(page, body)


def audit_lines() -> list[tuple[str, str, str]]:
    return list(AuditEntry.objects.values_list("actor", "action", "reason"))


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
    response = post(name, world)
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
        post(name, world)
    assert state() == before


def test_a_change_says_what_it_was_and_what_it_is(world: Any) -> None:
    post("subscriber_schedule", world)
    assert AuditEntry.objects.get().detail == "max_failures: None → 3"


def test_a_form_that_changes_one_field_names_that_field_alone(world: Any) -> None:
    post("subscriber_edit", world)
    assert AuditEntry.objects.get().detail == "title"


def test_the_list_shows_who_did_what_and_why(world: Any) -> None:
    post("subscriber_pause", world)
    viewer = Client()
    viewer.force_login(User.objects.get(username="carla"))
    shown = viewer.get(reverse("admin:router_auditentry_changelist")).content.decode()
    for words in ("user carla", "subscriber.paused", "subscriber crm", WHY):
        assert words in shown


@pytest.mark.django_db(transaction=True)
def test_a_line_outside_the_transaction_of_its_change_is_refused() -> None:
    with pytest.raises(TransactionManagementError):
        audit.note("subscriber.paused", "subscriber crm", by="user carla")
