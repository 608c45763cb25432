"""Every act of a person or a program by the API and in the admin, and how to do it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.test import Client
from django.urls import reverse

from router.models import ApiKey, Scope
from tests.integration.acted_on import A_SCHEMA, AN_EVENT, UNNOTED, WEBHOOK
from tests.integration.api import description, send

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
    "create_portal_link": Act(
        "portal_link.created", "subscribers/crm/portal-links/", {"label": "Ada"}
    ),
    "revoke_portal_link": Act(
        "portal_link.revoked", "subscribers/crm/portal-links/{link}/"
    ),
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
#: Page of the admin → what is posted to it.
BY_ADMIN = {
    "subscriber_add": Act("subscriber.created", "", {**WEBHOOK, "name": "new"}),
    "subscriber_edit": Act(
        "subscriber.changed", "{crm}", {**WEBHOOK, "title": "The CRM"}
    ),
    "subscriber_remove": Act("subscriber.deleted", "{crm}"),
    "subscriber_rotate": Act("subscriber.secret_rotated", "{crm}"),
    "subscriber_portal_link": Act(
        "portal_link.created", "{crm}", {"label": "Ada", "days": "7"}
    ),
    "subscriber_revoke_portal_link": Act(
        "portal_link.revoked", "{crm}", {"link": "{link}"}
    ),
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
    "auditentry_note": Act("audit_entry.noted", "{entry}", reason="note"),
    "apikey_revoke": Act("api_key.revoked", "{key}"),
    "eventschema_retire": Act("schema.retired", "{schema}"),
    "eventschema_add": Act(
        "schema.registered",
        "",
        {"type": "parcel.lost", "schema": json.dumps(A_SCHEMA)},
    ),
}


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


def post(client: Client, name: str, world: dict[str, Any]) -> Any:
    """The answer to the act of this person in the admin."""
    act = BY_ADMIN[name]
    args = [act.path.format(**world)] if act.path else []
    body = {**act.body, act.reason: WHY}
    for key in {"ids", "subscriber", "link"} & body.keys():
        body[key] = body[key].format(**world)
    page = reverse(f"admin:router_{name}", args=args)
    if body.pop("preview", None):
        shown = client.post(page, {"preview": "1", **body}).content.decode()
        found = re.search(r'name="previewed" value="(\w+)"', shown)
        body |= {"begin": "1", "previewed": found[1] if found else ""}
    return client.post(page, body)
