"""Reading the mails that `file_mail` wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from django.conf import settings

NAME = re.compile(r"([0-9]{8}T[0-9]{12}Z)-[0-9a-f]{12}\.eml")
MAX_MAILS = 200


@dataclass(frozen=True, kw_only=True)
class StoredMail:
    """One mail of the folder; a part that it lacks is empty."""

    name: str
    sent_at: datetime
    subject: str
    recipient: str
    sender: str
    message_id: str
    text: str
    html: str


def newest() -> list[StoredMail]:
    """The newest mails first, 200 at most."""
    folder = Path(settings.EMAIL_FILE_PATH)
    names = sorted((file.name for file in folder.glob("*.eml")), reverse=True)
    mails = (find(name) for name in names[:MAX_MAILS])
    return [mail for mail in mails if mail]


def find(name: str) -> StoredMail | None:
    """The mail of that name; None for all that is none of ours, paths included."""
    matched = NAME.fullmatch(name)
    file = Path(settings.EMAIL_FILE_PATH) / name
    if not matched or not file.is_file():
        return None
    time = datetime.strptime(matched[1], "%Y%m%dT%H%M%S%fZ")
    return _read(file, time.replace(tzinfo=UTC))


def _read(file: Path, sent_at: datetime) -> StoredMail:
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    return StoredMail(
        name=file.name,
        sent_at=sent_at,
        subject=str(message["Subject"] or ""),
        recipient=str(message["To"] or ""),
        sender=str(message["From"] or ""),
        message_id=str(message["Message-ID"] or ""),
        text=_part(message, "plain"),
        html=_part(message, "html"),
    )


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part else ""
