"""What is wrong, as the strips of a page: each with its tone and one button."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext, pgettext

from router.models import Subscriber
from router.observe.incidents import Incident, IncidentKind
from router.observe.pages import failed_tasks_page

#: Kind → tone and icon.
LOOKS = {
    IncidentKind.PROCESS: ("attention", "power_off"),
    IncidentKind.HANDLER_MISSING: ("attention", "code_off"),
    IncidentKind.UNREACHABLE: ("attention", "cloud_off"),
    IncidentKind.DISABLED: ("attention", "block"),
    IncidentKind.UNROUTED: ("attention", "alt_route"),
    IncidentKind.FAILED_TASKS: ("review", "report"),
    IncidentKind.INGRESS: ("review", "move_to_inbox"),
    IncidentKind.OLD_BACKLOG: ("retry", "hourglass_bottom"),
    IncidentKind.FAILING: ("retry", "trending_down"),
    IncidentKind.ASKED_TO_WAIT: ("retry", "hourglass_top"),
    IncidentKind.IMPORT_OPEN: ("retry", "history"),
    IncidentKind.PAUSED: ("retry", "pause_circle"),
    IncidentKind.DRAINING: ("working", "waterfall_chart"),
}


@dataclass(frozen=True, kw_only=True)
class Strip:
    """An incident as it is shown."""

    incident: Incident
    tone: str
    icon: str
    #: The page that shows more, and the word on its button; empty: none.
    link: str
    word: str
    #: Where a button posts that tries one event now; empty: none.
    try_now: str


def strips(
    incidents: Iterable[Incident], *, page_of: Subscriber | None = None
) -> list[Strip]:
    """What to show of these incidents; on the page of a subscriber none leads to that
    page."""
    return [_strip(each, page_of) for each in incidents]


def _strip(incident: Incident, page_of: Subscriber | None) -> Strip:
    tone, icon = LOOKS[incident.kind]
    link, word = _link(incident, page_of)
    subscriber = incident.subscriber if incident.may_be_tried else None
    return Strip(
        incident=incident,
        tone=tone,
        icon=icon,
        link=link,
        word=word,
        try_now=_of_subscriber("try_now", subscriber),
    )


def _link(incident: Incident, page_of: Subscriber | None) -> tuple[str, str]:
    subscriber = incident.subscriber
    match incident.kind:
        case IncidentKind.FAILED_TASKS if subscriber:
            return failed_tasks_page(subscriber.pk, incident.cause_id), gettext("Fix")
        case IncidentKind.INGRESS:
            return reverse("admin:router_ingressfailedtask_changelist"), gettext("Fix")
        case IncidentKind.UNROUTED:
            return (
                f"{reverse('admin:router_eventrecord_changelist')}?unrouted=1",
                pgettext("button", "Open"),
            )
    is_here = subscriber is not None and subscriber == page_of
    link = "" if is_here else _of_subscriber("change", subscriber)
    return link, pgettext("button", "Open") if link else ""


def _of_subscriber(page: str, subscriber: Subscriber | None) -> str:
    if subscriber is None:
        return ""
    return reverse(f"admin:router_subscriber_{page}", args=[subscriber.pk])
