"""Which events and subscribers a person means.

Events by number, id, subject, or what a setting adds to it; subscribers by name.
"""

from __future__ import annotations

from django.db.models import F
from django.utils.module_loading import import_string

from router.conf import conf
from router.models import EventRecord, Subscriber
from router.observe.log_values import distinct_values

#: A search that hits more shows the newest of them.
MAX_HITS = 500


def event_numbers(term: str) -> list[int]:
    """Events whose number, id or subject is exactly `term`, newest first.

    `ROUTER["SUBJECT_SEARCH"]` names the subjects that `term` means besides itself.
    """
    events = EventRecord.objects.order_by("-number").values_list("number", flat=True)
    sources = distinct_values("source")
    numbers = {
        *events.filter(source__in=sources, event_id=term)[:MAX_HITS],
        *events.filter(source__in=sources, subject__in=_subjects(term))[:MAX_HITS],
    }
    number = whole_number(term)
    if number is not None:
        numbers.add(number)
    return sorted(numbers, reverse=True)


def _subjects(term: str) -> set[str]:
    name = conf().subject_search
    return {term, *(import_string(name)(term) if name else ())}


def customer_id(email: str) -> str:
    """The id of the customer with this mail address, by `ROUTER["CUSTOMER_IDS"]`; ""
    where there is none, or it is no address."""
    name = conf().customer_ids if "@" in email else ""
    ids = import_string(name)(email) if name else ()
    return next(iter(ids), "")


def title_of(event: EventRecord) -> str:
    """What people call the event's subject, by `ROUTER["SUBJECT_TITLE"]`; else the
    subject, or the event where it has none."""
    name = conf().subject_title
    title = import_string(name)(event.subject) if name and event.subject else ""
    return title or event.subject or str(event)


def whole_number(term: str) -> int | None:
    """`term` as a row's number, `#` allowed before it."""
    digits = term.removeprefix("#")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        return None
    return int(digits)


def subscriber_named(name: str) -> Subscriber | None:
    """The subscriber of this name; where it was deleted, the last one that had it."""
    rows = Subscriber.objects.filter(name=name).defer("custom_headers")
    return rows.order_by(F("deleted_at").desc(nulls_first=True)).first()
