"""The router's own rows that have data of a customer."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from django.db.models import Exists, OuterRef

from router.contract.data import pack
from router.contract.json_text import parse
from router.contract.personal import ERASED, Customer
from router.flow.cursor.turn import FREE
from router.flow.route.head import lock_head
from router.models import (
    Attempt,
    Clock,
    Cursor,
    Delivery,
    EventRecord,
    FailedTask,
    FailedTaskGroup,
    IngressFailedTask,
    Turn,
)
from router.observe.progress import error_class
from router.operate.erase.finding import personal_fields

#: Shorter texts are parts of many words.
MIN_TEXT = 3


def lock_all(numbers: Collection[int]) -> None:
    """Lock all that hands out events, and take back what holds one of these.

    With the head and the cursors locked nothing new gets a delivery; the turns' locks
    keep every chunk of the stream from being claimed.
    """
    lock_head()
    list(Turn.objects.select_for_update().order_by("pk").values_list("pk"))
    list(Cursor.objects.select_for_update().order_by("pk").values_list("pk"))
    rows = Delivery.objects.filter(event__number__in_array=list(numbers)).open()
    list(rows.select_for_update(of=("self",)).order_by("pk").values_list("pk"))
    rows.leased().reschedule(Clock())
    held = EventRecord.objects.filter(
        number__in_array=list(numbers),
        position__gt=OuterRef("position"),
        position__lte=OuterRef("leased_to"),
    )
    at_work = Cursor.objects.filter(Exists(held), subscriber=OuterRef("pk"))
    Turn.objects.filter(Exists(at_work), token__isnull=False).update(**FREE)


def rows_of(numbers: Collection[int]) -> dict[str, int]:
    """How many rows of each kind belong to these events."""
    deliveries = _deliveries(numbers)
    return {
        "events": len(numbers),
        "attempts": Attempt.objects.filter(delivery__id__in_array=deliveries).count(),
        "failed tasks": _failed(numbers).count(),
    }


def erase_events(numbers: Collection[int]) -> None:
    """Overwrite the personal members of their data. The digest of the body stays: the
    same event published again is known still."""
    for event in EventRecord.objects.filter(number__in_array=list(numbers)).iterator():
        data = personal_fields(event.type).erase(event.json_data())
        packed = pack(data, has_data=True, is_plain_text=False)
        columns = {"data": parse(packed.text), "data_encoding": packed.encoding.value}
        EventRecord.objects.filter(pk=event.pk).update(**columns)


def erase_evidence(numbers: Collection[int], texts: Collection[str]) -> None:
    """Overwrite what attempts and failed tasks of these events have of messages and
    answers: any word in them may be the customer's."""
    attempts = Attempt.objects.filter(delivery__id__in_array=_deliveries(numbers))
    for attempt in attempts.defer("request").iterator():
        Attempt.objects.filter(pk=attempt.pk).update(
            error=_class_alone(attempt.error),
            traceback=_nothing(attempt.traceback),
            answer=_nothing(attempt.answer),
        )
    for task in _failed(numbers).iterator():
        FailedTask.objects.filter(pk=task.pk).update(
            error=_class_alone(task.error),
            traceback=_nothing(task.traceback),
            settled_note=_without(task.settled_note, texts),
            notes=_without(task.notes, texts),
        )
    for group in FailedTaskGroup.objects.exclude(notes="").iterator():
        notes = _without(group.notes, texts)
        FailedTaskGroup.objects.filter(pk=group.pk).update(notes=notes)


def erase_ingress(customer: Customer, *, is_dry_run: bool) -> int:
    """Overwrite the messages with the customer's address that never became events."""
    address = customer.email.casefold().encode()
    ids = [
        row.pk
        for row in IngressFailedTask.objects.only("pk", "body").iterator()
        if address in bytes(row.body).lower()
    ]
    if not is_dry_run:
        columns: dict[str, Any] = {"body": ERASED.encode(), "attributes": {}}
        rows = IngressFailedTask.objects.filter(pk__in=ids)
        rows.update(**columns, problem=ERASED)
    return len(ids)


def _deliveries(numbers: Collection[int]) -> list[int]:
    rows = Delivery.objects.filter(event__number__in_array=list(numbers))
    return list(rows.values_list("pk", flat=True))


def _failed(numbers: Collection[int]) -> Any:
    return FailedTask.objects.filter(event__number__in_array=list(numbers))


def _class_alone(error: str) -> str:
    """`ValueError: [erased]`."""
    name = error_class(error)
    return f"{name}: {ERASED}" if name else _nothing(error)


def _nothing(text: str) -> str:
    return ERASED if text else ""


def _without(note: str, texts: Collection[str]) -> str:
    for text in sorted(texts, key=len, reverse=True):
        if len(text) >= MIN_TEXT:
            note = re.sub(re.escape(text), ERASED, note, flags=re.IGNORECASE)
    return note
