"""The text of an alert, as Slack's blocks: no customer's data and no secret."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any

from django.conf import settings
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydantic import Field

from router.public import Event
from subscribers.money import formatted
from subscribers.payload import (
    Currency,
    Identifier,
    Minor,
    OrderNumber,
    Part,
    Quantity,
    read,
)
from subscribers.plain_text import PlainText, plain

FAILED_TASK = "router.failed_task.opened"
THROTTLED = "router.sign_in.throttled"
#: Type of an event about a receiver → the alert's title and its last line.
RECEIVERS = {
    "router.breaker.opened": (
        gettext_lazy("%(title)s cannot do its work"),
        gettext_lazy(
            "Its events are held and none is lost. The router tries it again by itself."
        ),
    ),
    "router.subscriber.recovered": (
        gettext_lazy("%(title)s is back"),
        gettext_lazy("The held events are being delivered."),
    ),
    "router.subscriber.disabled": (
        gettext_lazy("%(title)s needs attention"),
        gettext_lazy("Its events are held. Resume it in the admin when it is back."),
    ),
}
MAX_LINES = 10
#: Slack refuses longer texts: 150 characters in a header, 3,000 in a section.
MAX_TITLE_LENGTH = 150
MAX_LINE_LENGTH = 250
SHORT_ID_LENGTH = 8
#: Signs of Slack's markup: links, mentions of a channel or a person.
MARKUP = str.maketrans({"<": None, ">": None, "@": "@\N{ZERO WIDTH SPACE}"})
ERROR_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


class Order(Part):
    id: Identifier
    number: OrderNumber = ""
    currency: Currency

    @property
    def name(self) -> str:
        """The order's number. The whole id would open the page of the order."""
        return plain(self.number or self.id[:SHORT_ID_LENGTH])


class Line(Part):
    name: PlainText
    quantity: Quantity


class Totals(Part):
    total_minor: Minor


class Purchase(Part):
    order: Order
    lines: tuple[Line, ...]
    totals: Totals


class Failure(Part):
    id: Annotated[int | str, Field(union_mode="left_to_right")]
    reason: str
    error: str = ""


class Failing(Part):
    name: str
    title: str


class About(Part):
    number: int
    type: str


class FailedTask(Part):
    failed_task: Failure
    subscriber: Failing
    event: About
    is_first_of_incident: bool


class Receiver(Part):
    subscriber: Failing
    reason: str = ""


class Throttled(Part):
    failures: int
    wait_seconds: float


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A title, some lines of plain text, and perhaps one link."""

    title: str
    lines: list[str] = field(default_factory=list)
    link: str = ""
    link_text: str = ""

    def blocks(self) -> list[dict[str, Any]]:
        """The alert as Slack's blocks: plain text only, so that nothing is markup."""
        return [
            {
                "type": "header",
                "text": _plain(self.title.translate(MARKUP)[:MAX_TITLE_LENGTH]),
            },
            *({"type": "section", "text": _plain(line)} for line in self._sections()),
            *self._button(),
        ]

    def text(self) -> str:
        """The alert for a reader of plain text."""
        link = f"{self.link_text}: {self.link}" if self.link else ""
        words = "\n".join([self.title, *self.lines]).translate(MARKUP)
        return f"{words}\n{link}" if link else words

    def _sections(self) -> list[str]:
        return [
            "\n".join(line.translate(MARKUP)[:MAX_LINE_LENGTH] for line in self.lines)
        ]

    def _button(self) -> list[dict[str, Any]]:
        if not self.link:
            return []
        button = {"type": "button", "text": _plain(self.link_text), "url": self.link}
        return [{"type": "actions", "elements": [button]}]


def alert_for(event: Event) -> Alert | None:
    """The alert for this event; None if its incident has been announced."""
    if event.type == FAILED_TASK:
        return _failure(read(FailedTask, event))
    if event.type == THROTTLED:
        return _throttled(read(Throttled, event))
    if event.type in RECEIVERS:
        title, line = RECEIVERS[event.type]
        return _receiver(read(Receiver, event), str(title), str(line))
    return _purchase(read(Purchase, event))


def _purchase(purchase: Purchase) -> Alert:
    total = formatted(purchase.totals.total_minor, purchase.order.currency)
    items = [f"{line.quantity} × {line.name}" for line in purchase.lines]
    more = len(items) - MAX_LINES
    return Alert(
        title=_("New order: %(total)s") % {"total": total},
        lines=[
            _("Order %(number)s") % {"number": purchase.order.name},
            *items[:MAX_LINES],
            *([_("and %(count)d more") % {"count": more}] if more > 0 else []),
        ],
    )


def _throttled(throttled: Throttled) -> Alert:
    values = {"failures": throttled.failures, "wait": round(throttled.wait_seconds)}
    return Alert(
        title=_("Repeated wrong passwords for a staff account"),
        lines=[
            _("%(failures)d wrong; the next try waits %(wait)d s, later ones longer.")
            % values,
            _("The audit names the account and the addresses."),
        ],
    )


def _receiver(receiver: Receiver, title: str, line: str) -> Alert:
    return Alert(
        title=title % {"title": receiver.subscriber.title},
        lines=[text for text in (receiver.reason, line) if text],
    )


def _failure(failed: FailedTask) -> Alert | None:
    if not failed.is_first_of_incident:
        return None
    # The error's own words may quote a customer's data; its class can't.
    error = ERROR_CLASS.match(failed.failed_task.error)
    values = {
        "number": failed.event.number,
        "type": failed.event.type,
        "reason": failed.failed_task.reason.lower(),
        "error": f", {error[0]}" if error else "",
    }
    return Alert(
        title=_("%(title)s needs attention") % {"title": failed.subscriber.title},
        lines=[
            _("The router gave up event %(number)d (%(type)s): %(reason)s%(error)s.")
            % values,
            _("Further failures of this incident are not announced."),
        ],
        link=f"{settings.SITE_URL}{_admin_path(failed.failed_task.id)}",
        link_text=_("Open it in the admin"),
    )


def _admin_path(failed_task_id: int | str) -> str:
    try:
        return reverse("admin:router_failedtask_change", args=[failed_task_id])
    except NoReverseMatch:
        return reverse("admin:index")


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}
