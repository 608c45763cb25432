"""An alert of the router as people read it, in a chat or in a mail.

Its texts come from receivers and from staff: none may become a link or markup.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from pydantic import AfterValidator

from router.public import Event
from subscribers.payload import Moment, Part, read
from subscribers.plain_text import PlainText, plain

OPENED = "router.alert.opened"
CLOSED = "router.alert.closed"
#: Rule → the alert's title.
TITLES = {
    "unreachable": gettext_lazy("%(title)s is unreachable"),
    "backlog_age": gettext_lazy("%(title)s has an old backlog"),
    "failure_rate": gettext_lazy("%(title)s fails often"),
    "open_failed_tasks": gettext_lazy("%(title)s has failed tasks"),
    "test": gettext_lazy("Test: alerts about %(title)s arrive"),
}
#: Of a rule that a newer release may know.
OTHER = gettext_lazy("%(title)s needs attention")
MAX_STATUS_LENGTH = 400

Sentences = Annotated[
    str, AfterValidator(lambda text: plain(text, most=MAX_STATUS_LENGTH))
]


class About(Part):
    rule: str


class Subject(Part):
    title: PlainText


class Backlog(Part):
    events: int
    has_more: bool = False
    oldest_seconds: float | None = None


class Alert(Part):
    """The data of both events."""

    alert: About
    subscriber: Subject
    status: Sentences
    backlog: Backlog
    since: Moment
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """A title, some lines of plain text, and an address of the admin; "" without."""

    title: str
    lines: list[str]
    link: str


def announcement(event: Event) -> Announcement:
    """What to say of an alert that opened or closed.

    Raises `Reject` where the event's data can't be read.
    """
    alert = read(Alert, event)
    title = TITLES.get(alert.alert.rule, OTHER) % {"title": alert.subscriber.title}
    is_over = event.type == CLOSED
    lines = [
        f"{alert.status[:1].upper()}{alert.status[1:]}",
        *([] if is_over else _backlog(alert.backlog, event)),
        _("Since %(moment)s UTC.") % {"moment": f"{alert.since:%Y-%m-%d %H:%M}"},
    ]
    return Announcement(
        title=_("Over: %(alert)s") % {"alert": title} if is_over else title,
        lines=lines,
        link=alert.link if alert.link.startswith(("https://", "http://")) else "",
    )


def _backlog(backlog: Backlog, event: Event) -> list[str]:
    if not backlog.events or backlog.oldest_seconds is None:
        return []
    oldest = event.time - timedelta(seconds=backlog.oldest_seconds)
    count = f"{backlog.events:,}{'+' if backlog.has_more else ''}"
    words = ngettext(
        "%(count)s event is owed, the oldest for %(age)s.",
        "%(count)s events are owed, the oldest for %(age)s.",
        backlog.events,
    )
    age = timesince(oldest, event.time).replace("\N{NO-BREAK SPACE}", " ")
    return [words % {"count": count, "age": age}]
