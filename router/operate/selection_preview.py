"""What an edit of event types, filter and limits does to the newest events of the log.

Nothing is saved. Two statements at most read the events, whatever the edit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Any

from router.contract.dialects import Filter, compiled
from router.contract.errors import InvalidSubscriber, named
from router.models import EventRecord, Subscriber
from router.operate.subscribers import DEFAULTS, selection_problems

#: The fields that decide which events a subscriber gets.
SELECTING = ("events", "filter", "allowed_types", "allowed_sources")
MAX_EVENTS = 1_000
#: Of the router's own events, a foreign router gets those alone that it asks for.
OF_ROW = (*SELECTING, "transport")
#: Of data that is read for a filter over data: fewer events are looked at beyond it.
MAX_DATA_BYTES = 16 * 1024 * 1024
#: Of each kind of event, and of different errors.
MAX_SAMPLES = 10
MAX_ERRORS = 5


@dataclass
class SelectionPreview:
    """How many of the events it gets now and after the edit, with the newest events
    that it would get in addition, and no more."""

    event_count: int = 0
    #: When the log recorded the oldest of them.
    oldest_at: datetime | None = None
    now_count: int = 0
    after_count: int = 0
    added_count: int = 0
    removed_count: int = 0
    added: list[EventRecord] = field(default_factory=list)
    removed: list[EventRecord] = field(default_factory=list)
    #: Error of the new filter's SQL → events of the new types that it keeps away.
    error_counts: Counter[str] = field(default_factory=Counter)

    @property
    def sql_errors(self) -> list[tuple[str, int]]:
        """The most frequent errors, and how many events have each."""
        return self.error_counts.most_common(MAX_ERRORS)

    def count(self, event: EventRecord, *, is_now: bool, is_after: bool) -> None:
        self.event_count += 1
        self.oldest_at = event.recorded_at
        self.now_count += is_now
        self.after_count += is_after
        if is_after and not is_now:
            self.added_count += 1
            self.added += [event] if len(self.added) < MAX_SAMPLES else []
        if is_now and not is_after:
            self.removed_count += 1
            self.removed += [event] if len(self.removed) < MAX_SAMPLES else []


def preview_selection(
    subscriber: Subscriber | None, changes: Mapping[str, Any]
) -> SelectionPreview:
    """The effect of changing these fields; of adding one that has them, for None.

    `changes` may have every field of `DEFAULTS`: others are passed over.
    Raises `InvalidSubscriber` naming each field that is wrong.
    """
    after = copy(subscriber) if subscriber else Subscriber(**_fields(DEFAULTS))
    for name, value in _fields(changes).items():
        setattr(after, name, value)
    problems = selection_problems({name: getattr(after, name) for name in SELECTING})
    if problems:
        raise InvalidSubscriber(f"{named(problems)}.", problems=problems)
    return _preview(_Selection(subscriber), _Selection(after))


class _Selection:
    """Which events a subscriber gets; no subscriber gets none."""

    def __init__(self, subscriber: Subscriber | None) -> None:
        self._subscriber = subscriber
        self._filter: Filter | None = None
        if subscriber is not None and subscriber.filter is not None:
            self._filter = _compiled(subscriber.filter)

    @property
    def reads_data(self) -> bool:
        return self._filter is not None and self._filter.reads_data

    def may_want(self, event: EventRecord) -> bool:
        """Whether all but the filter lets the event through."""
        row = self._subscriber
        return row is not None and row.asks_for(event.type) and row.may_receive(event)

    def wants(self, event: EventRecord, data: Any) -> bool:
        if not self.may_want(event):
            return False
        return self._filter is None or self._filter.passes(event.context(), data)

    def sql_error(self, event: EventRecord) -> str | None:
        return self._filter.sql_error(event.context()) if self._filter else None


def _preview(now: _Selection, after: _Selection) -> SelectionPreview:
    preview = SelectionPreview()
    for event, data in _with_data(_newest_events(), now, after):
        is_after = after.wants(event, data)
        preview.count(event, is_now=now.wants(event, data), is_after=is_after)
        if not is_after and after.may_want(event):
            error = after.sql_error(event)
            preview.error_counts.update([error] if error else [])
    return preview


def _newest_events() -> list[EventRecord]:
    """Not those of one subscriber alone, which come to it whatever its filter."""
    events = EventRecord.objects.filter(only_for=None).defer("data")
    return list(events.order_by("-number")[:MAX_EVENTS])


def _with_data(
    events: list[EventRecord], *selections: _Selection
) -> Iterator[tuple[EventRecord, Any]]:
    """Each event with its data, where a filter reads it; as many as memory allows."""
    readers = [selection for selection in selections if selection.reads_data]
    sizes = [
        event.size_bytes if any(each.may_want(event) for each in readers) else 0
        for event in events
    ]
    known = [total <= MAX_DATA_BYTES for total in accumulate(sizes)]
    numbers = [
        event.number
        for event, size, is_known in zip(events, sizes, known, strict=True)
        if size and is_known
    ]
    data_of = _data_of(numbers) if numbers else {}
    for event, is_known in zip(events, known, strict=True):
        if is_known:
            yield event, data_of.get(event.number)


def _data_of(numbers: list[int]) -> dict[int, Any]:
    rows = EventRecord.objects.filter(number__in_array=numbers)
    rows = rows.only("number", "data", "data_encoding")
    return {row.number: row.json_data() for row in rows}


def _fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fields[name] for name in OF_ROW if name in fields}


def _compiled(expression: Any) -> Filter:
    """What is no filter lets every event through, and each becomes a failed task."""
    try:
        return compiled(expression)
    except Exception:  # noqa: BLE001 - whatever the row holds
        return Filter(lambda attributes, data: True, reads_data=False)
