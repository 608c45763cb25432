"""The text of an alert, as Slack's blocks: no customer's data and no secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from router.public import Event
from subscribers.alert import CLOSED, OPENED, announcement
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

THROTTLED = "router.sign_in.throttled"
#: The types of the router's own events.
OWN_TYPES = "router."
MAX_LINES = 10
#: Slack refuses longer texts: 150 characters in a header, 3,000 in a section.
MAX_TITLE_LENGTH = 150
MAX_LINE_LENGTH = 250
SHORT_ID_LENGTH = 8
#: Signs of Slack's markup: links, mentions of a channel or a person.
MARKUP = str.maketrans({"<": None, ">": None, "@": "@\N{ZERO WIDTH SPACE}"})


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
    """The alert for this event; None for one of the router's own that it has no words
    for: an older release asked for others."""
    if event.type in (OPENED, CLOSED):
        return _of_router(event)
    if event.type == THROTTLED:
        return _throttled(read(Throttled, event))
    if event.type.startswith(OWN_TYPES):
        return None
    return _purchase(read(Purchase, event))


def _of_router(event: Event) -> Alert:
    said = announcement(event)
    link_text = _("Open it in the admin")
    return Alert(
        title=said.title, lines=said.lines, link=said.link, link_text=link_text
    )


def _purchase(purchase: Purchase) -> Alert:
    total = formatted(purchase.totals.total_minor, purchase.order.currency)
    items = [f"{line.quantity} × {line.name}" for line in purchase.lines]
    more = len(items) - MAX_LINES
    return Alert(
        title=_("New order: %(total)s") % {"total": total},
        lines=[
            _("Order %(number)s") % {"number": purchase.order.name},
            *items[:MAX_LINES],
            *([_and_more(more)] if more > 0 else []),
        ],
    )


def _and_more(count: int) -> str:
    text = ngettext("and %(count)d more", "and %(count)d more", count)
    return text % {"count": count}


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


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}
