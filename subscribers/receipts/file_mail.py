"""Mails as files: the embedded default, where no mail server is set."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend


class EmailBackend(BaseEmailBackend):
    """Writes each mail whole to `<time>-<digest>.eml` in EMAIL_FILE_PATH.

    The digest is the Message-ID's: a mail that was sent twice shows.
    """

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for mail in email_messages:
            _write(mail)
        return len(email_messages)


def _write(mail: EmailMessage) -> None:
    folder = Path(settings.EMAIL_FILE_PATH)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    message = mail.message()
    digest = sha256(str(message["Message-ID"]).encode()).hexdigest()[:12]
    time = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    handle, unfinished = tempfile.mkstemp(dir=folder, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        file.write(message.as_bytes())
    os.replace(unfinished, folder / f"{time}-{digest}.eml")
