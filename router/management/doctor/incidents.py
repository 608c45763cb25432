"""What `status` calls wrong with subscribers and imports, and how to fix it."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DatabaseError

from router.management.doctor.finding import Finding, Level
from router.management.doctor.page import failed_tasks_page, subscriber_page
from router.observe.incidents import Incident, IncidentKind, incidents
from router.observe.situation import Situation

RESUME = "Resume it on {page} when its receiver is ready."
#: Kind of incident → what to do; other parts of the doctor judge the other kinds.
HINTS = {
    IncidentKind.HANDLER_MISSING: "Restart then; or delete it on {page}.",
    IncidentKind.UNREACHABLE: "Fix the receiver; its events then go on by themselves. "
    "Page: {page}.",
    IncidentKind.DISABLED: RESUME,
    IncidentKind.PAUSED: RESUME,
    IncidentKind.ASKED_TO_WAIT: "Its events go on by themselves then. Page: {page}.",
    IncidentKind.FAILED_TASKS: "Fix the cause, then retry or discard them on {page}.",
    IncidentKind.IMPORT_OPEN: "",
}
SETUP = "Set it and restart the dispatcher: it resumes by itself. Page: {page}."


def examine_incidents() -> Iterator[Finding]:
    """A warning for each subscriber that is held or has open failed tasks, and one for
    an import that is open: one that was killed stays so."""
    try:
        situation = Situation.read()
        found = [each for each in incidents(situation) if each.kind in HINTS]
    except DatabaseError:
        # The findings about the database and its migrations say why.
        return
    yield from map(_finding, found)
    if not any(each.subscriber for each in found):
        count = len(situation.overviews)
        detail = f"{count:,}; none is held, and no failed task is open"
        yield Finding("subscribers", Level.OK, detail)


def _finding(incident: Incident) -> Finding:
    subscriber, hint = incident.subscriber, HINTS[incident.kind]
    if subscriber is None:
        return Finding(incident.title.lower(), Level.WARNING, incident.text)
    if subscriber.is_held_for_setup and hint == RESUME:
        hint = SETUP
    is_failed = incident.kind == IncidentKind.FAILED_TASKS
    page = failed_tasks_page() if is_failed else subscriber_page(subscriber)
    title = f"subscriber {subscriber.name}"
    return Finding(title, Level.WARNING, incident.text, hint.format(page=page))
