"""Exact look-ups in the event log: each by an index, each bounded."""

from __future__ import annotations

from django.utils.module_loading import import_string

from router.conf import conf
from router.models import EventRecord
from router.observe.log_values import distinct_values

#: A search that hits more shows the newest of them.
MOST_HITS = 500


def event_numbers(term: str) -> list[int]:
    """Events whose number, id or subject is exactly `term`, newest first.

    `ROUTER["SUBJECT_SEARCH"]` names the subjects that `term` means besides itself.
    """
    events = EventRecord.objects.order_by("-number").values_list("number", flat=True)
    sources = distinct_values("source")
    found = {
        *events.filter(source__in=sources, event_id=term)[:MOST_HITS],
        *events.filter(source__in=sources, subject__in=_subjects(term))[:MOST_HITS],
    }
    number = whole_number(term)
    if number is not None:
        found.add(number)
    return sorted(found, reverse=True)


def _subjects(term: str) -> set[str]:
    name = conf().subject_search
    return {term, *(import_string(name)(term) if name else ())}


def whole_number(term: str) -> int | None:
    """`term` as a row's number, `#` allowed before it."""
    digits = term.removeprefix("#")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        return None
    return int(digits)
