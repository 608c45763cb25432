"""How the mails to a customer are erased where they are kept as files."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.utils import getaddresses
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import transaction

from router.public import Customer, eraser


@eraser
def erase(customer: Customer, *, is_dry_run: bool) -> dict[str, int]:
    """Delete the files of the customer's mails, once the erasure is committed."""
    folder = Path(settings.EMAIL_FILE_PATH)
    files = [file for file in folder.glob("*.eml") if _is_to(file, customer.email)]
    if not is_dry_run:
        for file in files:
            transaction.on_commit(partial(file.unlink, missing_ok=True))
    return {"mails": len(files)}


def _is_to(file: Path, email: str) -> bool:
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    recipients = getaddresses(message.get_all("To", []))
    return email.casefold() in (address.casefold() for _, address in recipients)
