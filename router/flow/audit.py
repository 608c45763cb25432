"""The audit: one line, with actor and reason, for each act by API, admin or command.

The functions that change something write the line themselves, so that no caller forgets
it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.db.models import Model
from django.db.transaction import TransactionManagementError

from router.models import AuditEntry, Subscriber

#: The actor of what the router does by itself.
ROUTER = "router"
#: Name of a model → what the audit calls a row of it.
TARGETS = {
    "apikey": "key {0.name}",
    "auditentry": "audit entry {0.pk}",
    "delivery": "delivery {0.pk}",
    "eventrecord": "event #{0.pk}",
    "eventschema": "schema {0.dataschema}",
    "failedtask": "failed task {0.pk}",
    "failedtaskgroup": "cause {0.pk} of subscriber {0.subscriber.name}",
    "ingressfailedtask": "ingress failed task {0.pk}",
    "rampedretry": "ramped retry {0.pk} of subscriber {0.subscriber.name}",
    "run": "run {0.number} of subscriber {0.subscriber.name}",
    "subscriber": "subscriber {0.name}",
}
#: Field → its value before and after, as it may be shown to everybody who may look.
Changes = Mapping[str, tuple[Any, Any]]
#: A longer change is left out of the summary; the page of the entry has it.
MAX_SUMMARY = 40
NOTHING = "–"


def note(
    action: str,
    target: Model | str,
    *,
    by: str,
    reason: str = "",
    detail: str = "",
    changes: Changes | None = None,
) -> None:
    """Add a line to the audit, in the transaction of the change.

    `target` is the row that was acted on, of a model in `TARGETS`, or words. `by` is
    `key NAME`, `user NAME`, `command ACCOUNT` or `router`. No secret belongs into
    `detail` or `changes`, nor data of a customer: the audit is kept for ever. Raises
    `TransactionManagementError` outside a transaction: the change could be kept and its
    line lost.
    """
    if not connection.in_atomic_block:
        raise TransactionManagementError(f"{action} is noted outside its transaction.")
    AuditEntry.objects.create(
        actor=by[:200],
        action=action[:100],
        target=target_of(target)[:200],
        subscriber_id=_subscriber_of(target),
        reason=reason[:1000],
        detail=(detail or summary(changes or {}))[:500],
        changes=_as_json(changes) if changes else None,
    )


def target_of(target: Model | str) -> str:
    """What the audit calls a row; words stay."""
    if isinstance(target, str):
        return target
    return TARGETS[str(target._meta.model_name)].format(target)


def summary(changes: Changes) -> str:
    """`max_failures: 3 → 5, filter`: of lists, objects and long texts the field."""
    return ", ".join(_summed(name, *values) for name, values in changes.items())


def _summed(name: str, before: Any, after: Any) -> str:
    pair = (before, after)
    text = " → ".join(NOTHING if each in (None, "") else str(each) for each in pair)
    is_short = len(text) <= MAX_SUMMARY
    is_plain = not any(isinstance(each, list | dict) for each in pair)
    return f"{name}: {text}" if is_short and is_plain else name


def _as_json(changes: Changes) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = json.loads(
        json.dumps(
            {name: list(pair) for name, pair in changes.items()}, cls=DjangoJSONEncoder
        )
    )
    return values


def _subscriber_of(target: Model | str) -> int | None:
    if isinstance(target, Subscriber):
        return int(target.pk)
    found: int | None = getattr(target, "subscriber_id", None)
    return found
