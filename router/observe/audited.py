"""The audit as people search it, and the rows that its entries are about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from functools import reduce
from operator import and_
from typing import Any

from django.apps import apps
from django.db.models import Model, Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date

from router.flow.audit import TARGETS
from router.models import AuditEntry, Subscriber
from router.observe.log_values import distinct_values

ACTORS = ("user", "key", "command", "portal:")
FIELD = re.compile(r"\{0\.([\w.]+)\}")
#: What stands in a text for these is a number.
NUMBERS = {"pk", "number"}


def search_entries(term: str) -> Q:
    """The entries that a person may mean: by who, act, object, subscriber and day.

    Each word narrows the search; a name with spaces is found as a whole too.
    """
    words = term.split()
    narrowed = reduce(and_, map(_meant, words))
    return narrowed if len(words) == 1 else narrowed | _meant(term.strip())


def _meant(text: str) -> Q:
    if (day := _day(text)) is not None:
        return Q(at__gte=day, at__lt=day + timedelta(days=1))
    named = Subscriber.objects.filter(name=text).values_list("pk", flat=True)
    return (
        Q(actor__in=[text, *(f"{kind} {text}" for kind in ACTORS)])
        | Q(action__in=[act for act in acts() if text in (act, *act.split("."))])
        | Q(target__in=[text, f"account {text}", *_targets(text)])
        | Q(subscriber__in=list(named))
    )


def _day(text: str) -> datetime | None:
    try:
        day = parse_date(text)
    except ValueError:
        return None
    zone = timezone.get_current_timezone()
    return datetime.combine(day, time.min, zone) if day else None


def _targets(name: str) -> Iterator[str]:
    """What the audit calls the objects with this name or number."""
    for text in TARGETS.values():
        if len(FIELD.findall(text)) == 1:
            yield FIELD.sub(lambda _: name, text)


def acts() -> list[str]:
    """The acts that the audit has, by name."""
    return distinct_values("action", AuditEntry)


def entries_of(subscriber: Subscriber) -> Q:
    """The entries that concern a subscriber; older ones name it alone."""
    return Q(subscriber=subscriber) | Q(target=f"subscriber {subscriber.name}")


def notes_of(entry: AuditEntry) -> QuerySet[AuditEntry]:
    """What people wrote beside an entry: further entries, in their order."""
    notes = AuditEntry.objects.filter(target=f"audit entry {entry.pk}")
    return notes.order_by("pk")


def row_of(entry: AuditEntry) -> Model | None:
    """The row that an entry is about; None where there is none, or none any more."""
    for name, pattern in PATTERNS.items():
        if match := pattern.fullmatch(entry.target):
            model: Any = apps.get_model("router", name)
            rows = model.objects.filter(**_lookups(entry, name, match.groupdict()))
            found: Model | None = rows.only("pk").order_by("-pk").first()
            return found
    return None


def has_row(entry: AuditEntry) -> bool:
    """Whether the entry is about a row, which may be gone."""
    return any(pattern.fullmatch(entry.target) for pattern in PATTERNS.values())


def _lookups(entry: AuditEntry, name: str, named: dict[str, str]) -> dict[str, Any]:
    """By the subscriber's key where the entry has it: another may have its name now."""
    if entry.subscriber_id is None:
        return named
    if name == "subscriber":
        return {"pk": entry.subscriber_id}
    if named.pop("subscriber__name", None):
        return {**named, "subscriber": entry.subscriber_id}
    return named


def _pattern(text: str) -> re.Pattern[str]:
    literals_and_fields = FIELD.split(text)
    parts = [
        f"(?P<{part.replace('.', '__')}>{r'[0-9]{1,18}' if part in NUMBERS else '.+'})"
        if number % 2
        else re.escape(part)
        for number, part in enumerate(literals_and_fields)
    ]
    return re.compile("".join(parts))


PATTERNS = {name: _pattern(text) for name, text in TARGETS.items()}
