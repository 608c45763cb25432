"""A foreign router that notes what it took, and fails as the test says."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from router.contract.event import Event
from router.contract.outcomes import Acknowledged, Dead, Evidence, Outcome, Retry
from router.contract.outcomes import FailureKind as Kind
from router.models import Subscriber
from router.transports.publisher import Unsent

#: So much of a chunk goes in one call.
MAX_BATCH = 10


class KeyedRouter:
    """Events are named by the number in their data."""

    def __init__(self) -> None:
        self.is_down = False
        #: Events that fail, for now or for ever.
        self.failing: Collection[int] = ()
        self.refused: Collection[int] = ()
        #: Key → what was taken, in order.
        self.taken: dict[str, list[int]] = defaultdict(list)
        #: Keys that were sent twice at the same time.
        self.overlapping: list[str] = []
        #: What to wait for within a call.
        self.pause = threading.Event()
        self.pause.set()
        self._at_work: Counter[str] = Counter()
        self._lock = threading.Lock()

    def message(self, event: Event) -> Event:
        return event

    def take(self, messages: Sequence[Event]) -> int:
        return min(len(messages), MAX_BATCH)

    def publish(
        self, messages: Sequence[Event], *, deadline_seconds: float
    ) -> list[Outcome | None]:
        if self.is_down:
            raise Unsent(Retry(Evidence("Down"), kind=Kind.TROUBLED))
        with self._lock:
            self._at_work.update(each.partitionkey for each in messages)
            self.overlapping += [key for key, n in self._at_work.items() if n > 1]
        self.pause.wait(deadline_seconds)
        with self._lock:
            self._at_work.subtract(each.partitionkey for each in messages)
            return [self._outcome(each) for each in messages]

    def _outcome(self, event: Event) -> Outcome:
        number = event.data["n"]
        if number in self.failing:
            return Retry(Evidence("Later"))
        if number in self.refused:
            return Dead(Evidence("Never"))
        self.taken[event.partitionkey].append(number)
        return Acknowledged()

    def close(self) -> None: ...


def subscribe(name: str = "bus", **fields: Any) -> Subscriber:
    """An ordered subscriber that publishes to it."""
    defaults = {
        "transport": "amqp",
        "events": ["thing.happened"],
        "queue": "webhooks",
        "is_transactional": False,
        "target": {"url": "amqps://bus.example"},
        "ordering": "key",
    }
    return Subscriber.objects.create(name=name, **{**defaults, **fields})
