"""Whether an event is owed to a subscriber: its event types, its limits, its filter."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from router.contract.dialects import Filter, compiled
from router.models import EventRecord, Subscriber

logger = logging.getLogger(__name__)

#: Event and subscriber whose filter raised → what it raised.
Broken = dict[tuple[int, int], Exception]
#: Of data that is in memory at a time for filters that look at it.
MAX_DATA_BYTES = 4 * 1024 * 1024


class Filters:
    """The filters of subscribers, compiled; what is no filter is what it raised."""

    def __init__(self, subscribers: Iterable[Subscriber]) -> None:
        filtered = [each for each in subscribers if each.filter is not None]
        self._of = {each.pk: _compiled(each.filter) for each in filtered}
        self._readers = [each for each in filtered if _reads_data(self._of[each.pk])]

    def of(self, subscriber: Subscriber) -> Filter | Exception | None:
        return self._of.get(subscriber.pk)

    def with_data(self, events: Sequence[EventRecord]) -> Iterator[EventRecord]:
        """Each event in turn; with its data, where a filter looks at it.

        One statement reads the data of many events; an event loses it when the next one
        is asked for.
        """
        if not self._readers:
            yield from events
            return
        for part in _parts(events):
            numbers = [event.number for event in part if self._is_read(event)]
            rows = EventRecord.objects.filter(number__in_array=numbers)
            data_of = dict(rows.values_list("number", "data")) if numbers else {}
            for event in part:
                if event.number in data_of:
                    event.data = data_of.pop(event.number)
                yield event
                event.__dict__.pop("data", None)

    def _is_read(self, event: EventRecord) -> bool:
        return any(reader.asks_for(event.type) for reader in self._readers)


class Matching:
    """Matches one event with all subscribers: each distinct filter runs once.

    A filter that raises is noted in `broken`, and the event is owed: it must not be
    lost to it, nor hold up the batch.
    """

    def __init__(self, event: EventRecord, filters: Filters, broken: Broken) -> None:
        self._event = event
        self._filters = filters
        self._broken = broken
        self._answers: dict[Filter, bool | Exception] = {}

    def is_owed(self, subscriber: Subscriber) -> bool:
        if self._event.only_for_id is not None:
            return self._event.only_for_id == subscriber.pk
        if not subscriber.asks_for(self._event.type):
            return False
        if not subscriber.may_receive(self._event):
            return False
        chosen = self._filters.of(subscriber)
        if chosen is None:
            return True
        answer = self._answer(chosen)
        if isinstance(answer, Exception):
            self._broken[self._event.number, subscriber.pk] = answer
            return True
        return answer

    @cached_property
    def _context(self) -> dict[str, str | int | bool]:
        return self._event.context()

    def _answer(self, chosen: Filter | Exception) -> bool | Exception:
        if isinstance(chosen, Exception):
            return chosen
        if chosen not in self._answers:
            self._answers[chosen] = self._ask(chosen)
        return self._answers[chosen]

    def _ask(self, chosen: Filter) -> bool | Exception:
        try:
            data = self._event.json_data() if chosen.reads_data else None
            return chosen.passes(self._context, data)
        except Exception as error:  # noqa: BLE001 - it becomes a failed task
            logger.warning("A filter failed: %s", type(error).__name__)
            return error


def _compiled(expression: Any) -> Filter | Exception:
    try:
        return compiled(expression)
    except Exception as error:  # noqa: BLE001 - it becomes a failed task
        logger.warning("A filter can't be compiled: %s", type(error).__name__)
        return error


def _reads_data(chosen: Filter | Exception) -> bool:
    return isinstance(chosen, Filter) and chosen.reads_data


def _parts(events: Sequence[EventRecord]) -> Iterator[list[EventRecord]]:
    """The events in their order, few enough that their data fits into memory."""
    part: list[EventRecord] = []
    size = 0
    for event in events:
        size += event.size_bytes
        if part and size > MAX_DATA_BYTES:
            yield part
            part, size = [], event.size_bytes
        part.append(event)
    if part:
        yield part
