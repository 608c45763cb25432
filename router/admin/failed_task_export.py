"""Failed tasks as a file: CSV for spreadsheets, JSON with the events."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from router.contract.json_text import repaired
from router.models import FailedTask

#: Rows that one statement reads.
CHUNK = 500
#: Encrypted: no row needs it.
HEADERS = "subscriber__custom_headers"
#: What a spreadsheet takes for a formula, where a cell begins with it.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def row_of(task: FailedTask) -> dict[str, Any]:
    """The values of a row, without the event's data."""
    return {
        "id": task.pk,
        "state": task.state,
        "subscriber": task.subscriber.name,
        "event": task.event_id,
        "event_id": task.event.event_id,
        "source": task.event.source,
        "type": task.event.type,
        "subject": task.event.subject,
        "cause": task.group_id,
        "reason": task.reason,
        "error": task.error,
        "attempts": task.attempts,
        "opened_at": task.opened_at.isoformat(),
        "settled_at": task.settled_at.isoformat() if task.settled_at else None,
        "settled_by": task.settled_by_name,
        "note": task.settled_note,
        "assignee": task.assignee,
        "notes": task.notes,
    }


def export(
    request: HttpRequest, tasks: QuerySet[FailedTask], kind: str
) -> StreamingHttpResponse:
    """The tasks as a file of this kind, a key of `KINDS`; the events' data only for a
    person who may see events."""
    content_type, write = KINDS[kind]
    rows = tasks.select_related("subscriber", "event").defer(None).order_by("-pk")
    shows_events = request.user.has_perm("router.view_eventrecord")
    lines = write(rows, shows_events)
    response = StreamingHttpResponse(lines, content_type=content_type)
    name = f"failed-tasks-{timezone.now():%Y-%m-%d-%H%M}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


class _Line:
    """What `csv` writes to: hands each line back."""

    def write(self, line: str) -> str:
        return line


def _csv(tasks: QuerySet[FailedTask], shows_events: bool) -> Iterator[str]:
    writer = csv.writer(_Line())
    shown = tasks.defer("traceback", "event__data", HEADERS)
    for number, task in enumerate(shown.iterator(CHUNK)):
        row = row_of(task)
        if number == 0:
            yield writer.writerow(row)
        yield writer.writerow(map(_cell, row.values()))


def _cell(value: Any) -> Any:
    is_formula = isinstance(value, str) and value.startswith(FORMULA)
    return f"'{value}" if is_formula else value


def _json(tasks: QuerySet[FailedTask], shows_events: bool) -> Iterator[str]:
    hidden = ["traceback", HEADERS, *([] if shows_events else ["event__data"])]
    yield "["
    for number, task in enumerate(tasks.defer(*hidden).iterator(CHUNK)):
        row = row_of(task)
        if shows_events:
            row["cloudevent"] = task.event.shown()
        text = json.dumps(repaired(row), ensure_ascii=False)
        yield f"{',' if number else ''}\n{text}"
    yield "\n]\n"


#: Kind of a file → its content type, and what writes it.
KINDS: dict[str, tuple[str, Callable[..., Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", _csv),
    "json": ("application/json", _json),
}
