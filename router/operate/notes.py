"""What operators write beside a failed task, a cause, or an entry of the audit."""

from __future__ import annotations

import hashlib

from django.db import transaction
from django.utils.translation import gettext

from router.contract.errors import DoesNotApply
from router.flow import audit
from router.models import AuditEntry, FailedTask, FailedTaskGroup

Noted = FailedTask | FailedTaskGroup
#: Row → what the audit calls it.
KINDS = {FailedTask: "failed_task", FailedTaskGroup: "failed_task_group"}


def seen(row: Noted) -> str:
    """What a page hands back to say which notes its reader saw."""
    text = f"{row.assignee}\x1f{row.notes}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@transaction.atomic
def write_notes(
    row: Noted, *, notes: str, assignee: str, was_seen: str, by: str, reason: str = ""
) -> None:
    """Replace the notes and the assignee, a user's name or "".

    Raises `DoesNotApply` where another operator changed them since they were seen.
    """
    rows = type(row)._default_manager.select_for_update(of=("self",))
    now = rows.only("notes", "assignee").get(pk=row.pk)
    if seen(now) != was_seen:
        raise DoesNotApply(
            gettext(
                "Another operator changed the notes meanwhile. Nothing was changed: "
                "read them, and write yours again."
            )
        )
    columns = {"notes": notes, "assignee": assignee}
    type(row)._default_manager.filter(pk=row.pk).update(**columns)
    # The words may quote a customer, and the audit is kept for ever.
    detail = f"assigned to {assignee}" if assignee != now.assignee and assignee else ""
    audit.note(f"{KINDS[type(row)]}.noted", row, by=by, reason=reason, detail=detail)


@transaction.atomic
def note_entry(entry: AuditEntry, *, note: str, by: str) -> None:
    """Add a note to an entry of the audit: a further entry, since none is changed."""
    audit.note("audit_entry.noted", entry, by=by, reason=note)
