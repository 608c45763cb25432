"""How the alerts of a customer's orders are erased where they are kept as files."""

from __future__ import annotations

from functools import partial

from django.db import transaction

from router.public import Customer, eraser
from subscribers.slack_alerts.files import file_of


@eraser
def erase(customer: Customer, *, is_dry_run: bool) -> dict[str, int]:
    """Delete the files of the alerts, once the erasure is committed."""
    named = (file_of(source, event_id) for source, event_id in customer.events)
    files = [file for file in named if file.exists()]
    if not is_dry_run:
        for file in files:
            transaction.on_commit(partial(file.unlink, missing_ok=True))
    return {"alerts": len(files)}
