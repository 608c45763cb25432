"""Which events have personal data of a customer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db.models import Max, QuerySet, TextField
from django.db.models.functions import Cast

from router.contract.personal import Customer, PersonalFields
from router.flow.publish.schemas import documents_of
from router.models import EventRecord, FailedTask

#: Events that one statement looks at.
STEP = 2000


@dataclass(kw_only=True)
class Search:
    """Goes once through the log in the order of numbers; may go on for newer events.

    An event is the customer's where a schema of its type marks a member as personal,
    with the format of an address, and its value there is the customer's address.
    """

    customer: Customer
    #: Everything up to this number was looked at.
    number: int = 0
    #: Numbers of the customer's events.
    numbers: list[int] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    events: set[tuple[str, str]] = field(default_factory=set)
    #: What was, or would be, overwritten: texts may stand in errors and notes, too.
    texts: set[str] = field(default_factory=set)
    #: Events that have the address where no schema marks it.
    unmarked: list[int] = field(default_factory=list)

    @staticmethod
    def last() -> int:
        """The number at which the log ends now."""
        last: int | None = EventRecord.objects.aggregate(at=Max("number"))["at"]
        return last or 0

    def steps(self) -> Iterator[int]:
        """Look at all further events; yields the last number of each step."""
        last = self.last()
        while self.number < last:
            to = int(min(_end_of_step(self.number), last))
            for event in _with_text(self.customer.email, self.number, to):
                self._note(event)
            self.number = to
            yield to
        self._add_corrections()

    def whose(self) -> Customer:
        """The customer with all that the events tell of it."""
        return Customer(
            email=self.customer.email,
            ids=self.customer.ids | self.ids,
            events=frozenset(self.events),
        )

    def _note(self, event: EventRecord) -> None:
        data, personal = event.json_data(), personal_fields(event.type)
        if not any(map(self.customer.is_address, personal.addresses_of(data))):
            self.unmarked.append(event.number)
            return
        self._add(event)

    def _add_corrections(self) -> None:
        """An operator may have corrected the address alone: of an event and those that
        took its place all are the customer's when one is."""
        known = set(self.numbers)
        while found := _corrections(known):
            known |= found
            for event in EventRecord.objects.filter(number__in_array=list(found)):
                self._add(event)

    def _add(self, event: EventRecord) -> None:
        data, personal = event.json_data(), personal_fields(event.type)
        self.numbers.append(event.number)
        self.events.add((event.source, event.event_id))
        self.ids.update(str(each) for each in personal.ids_of(data))
        self.texts.update(personal.texts_of(data))


def _corrections(numbers: set[int]) -> set[int]:
    """Other events that took the places of these, or whose places these took."""
    tasks = FailedTask.objects.filter(successor__isnull=False)
    later = tasks.filter(event__number__in_array=list(numbers))
    earlier = tasks.filter(successor__event__number__in_array=list(numbers))
    pairs: list[Any] = [
        *later.values_list("event", "successor__event"),
        *earlier.values_list("event", "successor__event"),
    ]
    return {number for pair in pairs for number in pair} - numbers


def _end_of_step(after: int) -> float:
    """The number up to which a step looks. By the rows: numbers have gaps, as large as
    what was rolled back or deleted."""
    numbers = EventRecord.objects.filter(number__gt=after).order_by("number")
    ends = numbers.values_list("number", flat=True)[STEP - 1 : STEP]
    return next(iter(ends), math.inf)


@cache
def personal_fields(event_type: str) -> PersonalFields:
    return PersonalFields.of(documents_of(event_type))


def _with_text(text: str, after: int, to: int) -> QuerySet[EventRecord]:
    rows: Any = EventRecord.objects.filter(number__gt=after, number__lte=to)
    with_text = rows.alias(text=Cast("data", TextField()))
    found: QuerySet[EventRecord] = with_text.filter(text__icontains=text)
    return found.order_by("number")
