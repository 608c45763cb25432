"""The page that says why a subscriber did or did not get an event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from router import display
from router.admin.fact_names import NAMES
from router.models import EventRecord, Subscriber
from router.observe.explain.case import Explanation, Facts
from router.observe.explain.explaining import explain
from router.observe.naming import whole_number

#: Section and fact → the page of the row that the fact names.
PAGE_OF = {
    ("event", "number"): "eventrecord",
    ("delivery", "id"): "delivery",
    ("failed_task", "id"): "failedtask",
    ("blocker", "event"): "eventrecord",
    ("blocker", "delivery"): "delivery",
}
#: Facts whose values are those of the API.
TOKENS = ("origin", "result", "state", "transport")
#: Deleted subscribers that are offered beside the others, the newest.
MAX_DELETED = 50


@dataclass(frozen=True)
class Section:
    """A part of the evidence: a heading, then names and values."""

    title: str
    facts: list[tuple[str, SafeString | str]]


def explanation_context(request: HttpRequest, event: EventRecord) -> dict[str, Any]:
    """What the page shows: the choice of a subscriber, and the explanation for it."""
    number = whole_number(request.GET.get("subscriber", ""))
    rows = Subscriber.objects.filter(pk=number or 0).defer("custom_headers")
    chosen = rows.first()
    return {
        "title": gettext("Why event #%(number)s?") % {"number": event.number},
        "chosen": chosen,
        "subscribers": choices(),
        **(_explained(explain(event, chosen)) if chosen else {}),
    }


def choices() -> list[Subscriber]:
    """Known subscribers by title, then those that were deleted last."""
    deleted = Subscriber.objects.filter(deleted_at__isnull=False)
    return [
        *Subscriber.objects.known().order_by("title"),
        *deleted.defer("custom_headers").order_by("-deleted_at")[:MAX_DELETED],
    ]


def _explained(found: Explanation) -> dict[str, Any]:
    return {"found": found, "sections": list(_sections(found))}


def _sections(found: Explanation) -> Iterator[Section]:
    for name, facts in found.evidence.items():
        yield Section(_words(name), list(_shown(name, facts)))


def _shown(section: str, facts: Facts) -> Iterator[tuple[str, SafeString | str]]:
    for name, value in facts.items():
        yield _words(name), _value(section, name, value)


def _value(section: str, name: str, value: Any) -> SafeString | str:
    if value is None or value in ("", [], {}):
        return display.NOTHING
    if isinstance(value, datetime):
        return display.at(value)
    if page := PAGE_OF.get((section, name)):
        address = reverse(f"admin:router_{page}_change", args=[value])
        return format_html('<a href="{}">{}</a>', address, value)
    if isinstance(value, dict | list) or name in TOKENS:
        text = value if name in TOKENS else display.compact(value)
        return format_html('<code class="fan-inline-code">{}</code>', text)
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if name == "run_ms":
        return display.milliseconds(value)
    if isinstance(value, int):
        return display.number(value)
    return str(value)


def _words(name: str) -> str:
    """Runs of a subscriber have their numbers in their names."""
    kind, _, number = name.rpartition("_")
    if kind == "run" and number.isdecimal():
        return gettext("Run %(number)s") % {"number": number}
    return str(NAMES.get(name, name))
