"""Whether an event is owed to a subscriber: its event types, its limits, its filter."""

from __future__ import annotations

import json
import logging

from router.contract.filters import matches
from router.models import EventRecord, Subscriber

logger = logging.getLogger(__name__)

#: Event and subscriber whose filter raised → what it raised.
Broken = dict[tuple[int, int], Exception]


class Matching:
    """Matches one event with all subscribers: each distinct filter runs once.

    A filter that raises is noted in `broken`, and the event is owed: it must not be
    lost to it, nor hold up the batch.
    """

    def __init__(self, event: EventRecord, broken: Broken) -> None:
        self._event = event
        self._broken = broken
        self._answers: dict[str, bool | Exception] = {}

    def is_owed(self, subscriber: Subscriber) -> bool:
        if self._event.only_for_id is not None:
            return self._event.only_for_id == subscriber.pk
        if not subscriber.asks_for(self._event.type):
            return False
        if not subscriber.may_receive(self._event):
            return False
        if subscriber.filter is None:
            return True
        answer = self._answer(subscriber.filter)
        if isinstance(answer, Exception):
            self._broken[self._event.number, subscriber.pk] = answer
            return True
        return answer

    def _answer(self, expression: object) -> bool | Exception:
        name = json.dumps(expression, sort_keys=True)
        if name not in self._answers:
            self._answers[name] = self._ask(expression)
        return self._answers[name]

    def _ask(self, expression: object) -> bool | Exception:
        try:
            return matches(expression, self._event.context())  # type: ignore[arg-type]  # what it is not, raises
        except Exception as error:  # noqa: BLE001 - it becomes a failed task
            logger.warning("A filter failed: %s", type(error).__name__)
            return error
