"""Sending mail, with the server's answers split into: later, unreachable, never.

What the server says may quote the recipient's address, so only its code is passed on.
"""

from __future__ import annotations

from email.utils import parseaddr
from hashlib import sha256
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused
from smtplib import SMTPResponseException as SMTPAnswer

from django.conf import settings
from django.core.mail import EmailMessage

from router.public import Event, Reject, RetryLater

PERMANENT = 500


def send(mail: EmailMessage) -> None:
    """Send the mail.

    Raises `Reject` when the server will never take it, `RetryLater` when it answered
    that something else is wrong, `ConnectionError` when there is no speaking with it.
    """
    try:
        mail.send()
    except SMTPRecipientsRefused as refused:
        raise _refusal(min(code for code, _ in refused.recipients.values())) from None
    except SMTPDataError as answer:
        raise _refusal(answer.smtp_code) from None
    except SMTPAnswer as answer:
        raise _complaint(answer) from None
    except SMTPException as error:
        raise ConnectionError(
            f"The mail server broke off: {type(error).__name__}."
        ) from None
    except ConnectionError:
        raise
    except OSError as error:
        raise ConnectionError(
            f"The mail server can't be reached: {type(error).__name__} {error.errno}."
        ) from None


def message_id(kind: str, event: Event) -> str:
    """The same event always has the same id, so that a mailbox recognises a double."""
    digest = sha256(f"{event.source}\n{event.id}".encode()).hexdigest()
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    return f"<{kind}.{digest[:40]}@{domain or 'localhost'}>"


def _refusal(code: int) -> Exception:
    if code >= PERMANENT:
        return Reject(f"The mail server refuses this mail for good ({code}).")
    return RetryLater(f"The mail server refuses this mail for now ({code}).")


def _complaint(answer: SMTPAnswer) -> Exception:
    cause = f"({type(answer).__name__} {answer.smtp_code})"
    if answer.smtp_code >= PERMANENT:
        return RetryLater(
            f"The mail server does not work with us: check EMAIL_… {cause}."
        )
    return ConnectionError(f"The mail server is not ready {cause}.")
