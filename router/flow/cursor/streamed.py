"""The subscribers that may read the log, as a dispatcher knows them between batches.

A batch costs the same however many of them want none of its events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from router.contract.pacing import Every
from router.db.statements import Select
from router.models import Period, Subscriber, Transport

#: What is read of each: to match event types, and to choose its queue.
OF_STREAMED = ("name", "transport", "events", "mean_run_ms", "queue", "fixed_queue")
#: Queue and run time of a subscriber change without a period, and may be so old: until
#: then a handler that has become slow holds up the quick ones.
MAX_AGE_SECONDS = 1.0
#: Code that creates a subscriber, or changes its event types, begins a period, under
#: the head's lock: while the newest is the same, so is what each subscriber asks for.
NEWEST_PERIOD = Select(lambda: Period.objects.order_by("-pk").values_list("pk")[:1])


class Streamed:
    """Which handlers ask for which event types.

    Those that get deliveries are among them, since a handler begins to be streamed
    without a period; routing, which reads them in each batch, leaves them out. A
    handler that was deleted since has no Turn to be marked.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._newest: object = None
        self._age = Every(MAX_AGE_SECONDS, clock=clock)
        self._known: dict[int, Subscriber] = {}
        #: Event type → primary keys of the subscribers that ask for it.
        self._of_type: dict[str, list[int]] = {}

    def refresh(self, newest: object) -> None:
        """Read them again if a period began since they were read.

        `newest` are the rows of `NEWEST_PERIOD`, read under the head's lock, or after
        the position up to which the events are asked about.
        """
        is_old = self._age.is_due()
        if is_old or newest != self._newest:
            self._known = {each.pk: each for each in _KNOWN.models()}
            self._of_type = {}
            self._newest = newest

    def asking_for(self, event_type: str) -> list[int]:
        """The primary keys of those whose event types match, whatever their filters."""
        if event_type not in self._of_type:
            self._of_type[event_type] = [
                pk for pk, each in self._known.items() if each.asks_for(event_type)
            ]
        return self._of_type[event_type]

    def subscribers(self, ids: Iterable[int]) -> list[Subscriber]:
        return [self._known[pk] for pk in ids if pk in self._known]


_KNOWN = Select(
    lambda: (
        Subscriber.objects.known()
        .filter(transport=Transport.HANDLER)
        .only(*OF_STREAMED)
    )
)
