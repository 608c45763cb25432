"""Who changed what: one line for each change by API, admin or command."""

from __future__ import annotations

from router.models import AuditEntry


def note(action: str, target: str, *, by: str, detail: str = "") -> None:
    """Add a line to the audit, in the transaction of the change.

    `by` is `key NAME`, `user NAME` or `command`. No secret belongs into `detail`.
    """
    AuditEntry.objects.create(
        actor=by[:200], action=action[:100], target=target[:200], detail=detail[:500]
    )
