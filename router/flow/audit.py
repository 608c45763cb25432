"""The audit: one line, with actor and reason, for each act by API, admin or command.

The functions that change something write the line themselves, so that no caller forgets
it.
"""

from __future__ import annotations

from django.db import connection
from django.db.transaction import TransactionManagementError

from router.models import AuditEntry

#: The actor of what the router does by itself.
ROUTER = "router"


def note(
    action: str, target: str, *, by: str, reason: str = "", detail: str = ""
) -> None:
    """Add a line to the audit, in the transaction of the change.

    `by` is `key NAME`, `user NAME`, `command ACCOUNT` or `router`. No secret belongs
    into `detail`. Raises `TransactionManagementError` outside a transaction: the change
    could be kept and its line lost.
    """
    if not connection.in_atomic_block:
        raise TransactionManagementError(f"{action} is noted outside its transaction.")
    AuditEntry.objects.create(
        actor=by[:200],
        action=action[:100],
        target=target[:200],
        reason=reason[:1000],
        detail=detail[:500],
    )
