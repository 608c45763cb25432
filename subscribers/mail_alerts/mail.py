"""An alert of the router as a mail: one text."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import translation

from router.public import Event
from subscribers.alert import announcement
from subscribers.sending import message_id


def alert_mail(event: Event) -> EmailMessage:
    """The mail for an alert that opened or closed, in the site's language.

    Raises `Reject` where the event's data can't be read.
    """
    with translation.override(settings.LANGUAGE_CODE):
        said = announcement(event)
    paragraphs = ["\n".join(said.lines), *([said.link] if said.link else [])]
    return EmailMessage(
        subject=said.title,
        body="\n\n".join(paragraphs) + "\n",
        to=settings.ALERT_MAIL_TO,
        headers={"Message-ID": message_id("alert", event)},
    )
