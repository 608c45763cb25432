"""What a subscriber asked for at each position of the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from itertools import groupby
from typing import Any

from django.db.models import Q

from router.db.patterns import within
from router.flow.cursor.matching import Broken, Filters, Matching
from router.models import EventRecord, Period, Subscriber
from router.models.cursor import BEFORE_EVERYTHING

#: After which position, a subscriber as it asked then, and its filter.
Asked = tuple[int, Subscriber, Filters]


class Asking:
    """A subscriber as it asked at each position.

    `periods` are its own, or rows that have their columns, in any order.
    """

    def __init__(self, subscriber: Subscriber, periods: Iterable[Any]) -> None:
        by_position = sorted(periods, key=lambda period: period.after, reverse=True)
        # A release that knew no periods may have made the subscriber.
        self._asked = [_as_of(subscriber, each) for each in by_position] or [
            (BEFORE_EVERYTHING, subscriber, Filters([subscriber]))
        ]

    @classmethod
    def of(cls, subscriber: Subscriber) -> Asking:
        return cls(subscriber, Period.objects.filter(subscriber=subscriber))

    @classmethod
    def of_run(cls, subscriber: Subscriber, run: Any) -> Asking:
        """What a run, or what has its `events` and `filter`, asks for everywhere."""
        asked = copy(subscriber)
        asked.events, asked.filter = run.events, run.filter
        return cls(asked, ())

    @property
    def has_filter(self) -> bool:
        return any(asked.filter is not None for _, asked, _ in self._asked)

    def owed(
        self, events: Sequence[EventRecord], broken: Broken
    ) -> Iterator[EventRecord]:
        """Those of these events that it asked for; they come by their positions.

        A filter that looks at data costs one statement for each period.
        """
        for (_, asked, filters), group in groupby(events, self._period):
            for event in filters.with_data(list(group)):
                if Matching(event, filters, broken).is_owed(asked):
                    yield event

    def at(self, position: int) -> tuple[int, int | None, Subscriber]:
        """The period of this position: after which position it begins, at which it
        ends, None while it lasts, and the subscriber as it asked then."""
        end = None
        for begin, asked, _ in self._asked:
            if begin < position:
                return begin, end, asked
            end = begin
        raise LookupError(f"No period has position {position}.")

    def ever(self, subscriber: Subscriber) -> Q:
        """Events that it may have asked for at some time."""
        patterns = {each for _, asked, _ in self._asked for each in asked.events}
        is_asked_for = within("type", patterns) & Q(only_for=None)
        return is_asked_for | Q(only_for=subscriber)

    def patterns_between(
        self, after: int, to: int
    ) -> list[tuple[int, int, Sequence[str]]]:
        """The positions above `after` and up to `to`, in parts in which it asked for
        the same patterns."""
        end, parts = to, []
        for begin, asked, _ in self._asked:
            first, last = max(begin, after), min(end, to)
            if first < last:
                parts.append((first, last, asked.events))
            end = begin
        return parts[::-1]

    def _period(self, event: EventRecord) -> Asked:
        position = event.position or 0
        return next(each for each in self._asked if each[0] < position)


def _as_of(subscriber: Subscriber, period: Any) -> Asked:
    asked = copy(subscriber)
    asked.events, asked.filter = period.events, period.filter
    return period.after, asked, Filters([asked])
