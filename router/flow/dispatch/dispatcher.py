"""Step 3, dispatch: send Celery one message for each subscriber and turn.

The mark `dispatched_until` is committed before the message is sent. A message that is
lost costs the time of the mark, no more: the delivery is then due again.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import cache, partial
from itertools import chain

from django.db.models import F

from router.conf import HANDLER_QUEUES, QUEUES, conf
from router.db.async_commit import AsyncCommit
from router.db.pipeline import (
    commits,
    own_transaction,
    rows_of_first,
    rows_of_planned,
)
from router.db.statements import IDS, SUBSCRIBER, Select, Update
from router.flow.breaker.pace import note_start
from router.flow.breaker.probes import choose_probe
from router.flow.cursor import turn
from router.flow.cursor.above import set_next_aside
from router.flow.cursor.streamed import Streamed
from router.flow.dispatch.chunk import Chunk, chunk_size, within_bytes
from router.flow.dispatch.due import DUE, subscribers_of
from router.flow.dispatch.limits import is_limited
from router.flow.dispatch.queues import queue_of
from router.flow.dispatch.retries import CANDIDATE, due_unmarked, with_new_events
from router.flow.dispatch.ring import RunsWaiting, Wanted, mark_rung
from router.flow.heartbeats import alive, served_queues
from router.flow.marks import mark_end
from router.flow.order import with_followers
from router.messaging.broker import BrokerTrouble, Doorbell, Message
from router.models import (
    BreakerState,
    Delivery,
    Subscriber,
)

FULL_FOR_SECONDS = 10


class Dispatcher:
    """Hands due deliveries to the broker, turn by turn.

    A turn gives each subscriber with something due one message; it is held while
    messages wait in the queue, so that the backlog stays in the database and makes the
    chunks grow by itself.
    """

    def __init__(self, doorbell: Doorbell) -> None:
        self._doorbell = doorbell
        self._full_since: dict[str, float] = {}
        self._served: Collection[str] = ()
        #: Class of work → messages as last counted, and sent since; empty while the
        #: broker is in trouble.
        self._waiting: dict[str, int] = {}
        #: When it last sent something, by the monotonic clock.
        self.sent_at = -math.inf
        self.forget()
        self._runs = RunsWaiting()
        #: Of streamed subscribers: whose last message was for deliveries.
        self._had_deliveries: set[int] = set()

    def forget(self) -> None:
        """Forget what it knew of the log and of who reads it: the database failed."""
        self.streamed = Streamed()
        self.wanted = Wanted(self.streamed)

    def look_at_workers(self) -> None:
        """Read which queues workers serve; before the first look none is known."""
        self._served = served_queues(alive())

    def has_room(self, subscriber: Subscriber) -> bool:
        """Whether the subscriber's queue has room for a message, by the last count."""
        waiting = self._waiting.get(queue_of(subscriber, self._served))
        return waiting is not None and waiting < conf().queue_limit

    def look_for_room(self, *, is_thorough: bool = False) -> None:
        """Count what waits where no room is known; thoroughly, everywhere.

        Raises `BrokerUnreachable` or `BrokerSilent`.
        """
        for queue in QUEUES if is_thorough else HANDLER_QUEUES:
            waiting = self._waiting.get(queue)
            if is_thorough or waiting is None or waiting >= conf().queue_limit:
                self._count(queue)

    def turn(self) -> bool:
        """Send what is due; returns whether more of it is likely to wait and may go.

        Raises `BrokerUnreachable` or `BrokerSilent`.
        """
        due: dict[str, list[tuple[Subscriber, bool]]] = defaultdict(list)
        for subscriber, is_rung in self._due():
            due[queue_of(subscriber, self._served)].append((subscriber, is_rung))
        admitted = [self._admitted(queue, due[queue]) for queue in QUEUES if due[queue]]
        all_admitted = list(chain(*admitted))
        chunks = mark_chunks([each for each, is_rung in all_admitted if not is_rung])
        rung = mark_rung([each for each, is_rung in all_admitted if is_rung])
        self.send([*chunks, *rung])
        # Of a limited one nothing else goes while this is on its way.
        return any(
            chunk.is_full and not is_limited(chunk.subscriber) for chunk in chunks
        )

    def _due(self) -> list[tuple[Subscriber, bool]]:
        """Subscribers that may get a message now, and whether it is for the cursor.

        A streamed subscriber with both gets them in turn: it has one lease for both.
        """
        owed, *found = rows_of_planned([DUE.bound(), *self.wanted.looks()])
        rows, rung = subscribers_of(owed), self.wanted.due_of(found)
        rung += self._runs.due(but={row.pk for row in rung})
        both = {row.pk for row in rows} & {row.pk for row in rung}
        in_stream = both & self._had_deliveries
        self._had_deliveries = both - in_stream
        return [
            *((row, False) for row in rows if row.pk not in in_stream),
            *((row, True) for row in rung if row.pk not in both - in_stream),
        ]

    def _admitted(
        self, queue: str, due: list[tuple[Subscriber, bool]]
    ) -> list[tuple[Subscriber, bool]]:
        """The subscribers whose queue has room for another message."""
        if not self._is_full(queue):
            return due
        return due[:1] if self._is_stuck(queue) else []

    def send(self, chunks: Sequence[Chunk]) -> None:
        """Send what is marked; what was surely not sent is then due again at once.

        Raises `BrokerUnreachable` or `BrokerSilent`.
        """
        if not chunks:
            return
        self.sent_at = time.monotonic()
        messages = [self._message(chunk) for chunk in chunks]
        try:
            self._doorbell.send(messages)
        except BrokerTrouble as trouble:
            self._waiting.clear()
            for unsent in chunks[trouble.unsent_from :]:
                unmark(unsent)
            raise
        for message in messages:
            if message.queue in self._waiting:
                self._waiting[message.queue] += 1

    def _count(self, queue: str) -> int:
        try:
            waiting = self._doorbell.waiting_count(queue)
        except BrokerTrouble:
            self._waiting.clear()
            raise
        self._waiting[queue] = waiting
        return waiting

    def _message(self, chunk: Chunk) -> Message:
        queue = queue_of(chunk.subscriber, self._served)
        return Message(queue, chunk.subscriber.pk, chunk.ids)

    def _is_full(self, queue: str) -> bool:
        is_full = self._count(queue) >= conf().queue_limit
        if is_full:
            self._full_since.setdefault(queue, time.monotonic())
        else:
            self._full_since.pop(queue, None)
        return is_full

    def _is_stuck(self, queue: str) -> bool:
        """Whether the queue is full for so long that perhaps no worker reads it."""
        now = time.monotonic()
        if now - self._full_since.get(queue, now) < FULL_FOR_SECONDS:
            return False
        self._full_since[queue] = now
        return True


def mark_chunks(subscribers: Sequence[Subscriber]) -> list[Chunk]:
    """Mark the next due deliveries of each as on their way, all in one transaction.

    Of a receiver that is down it is the next probe alone.
    """
    with own_transaction() as owns_transaction:
        chunks = [chunk for chunk in _choose(subscribers) if chunk.ids]
        rung = [chunk.subscriber for chunk in chunks if chunk.subscriber.is_streamed]
        turn.mark_for_deliveries([each.pk for each in rung])
        if chunks:
            mark = _MARK.bound(ids=[pk for chunk in chunks for pk in chunk.ids])
            rows_of_planned(
                [mark],
                after=commits(owns_transaction),
                owns_transaction=owns_transaction,
            )
    return chunks


def mark_chunk(subscriber: Subscriber) -> Chunk | None:
    """`mark_chunks` for one subscriber."""
    return next(iter(mark_chunks([subscriber])), None)


def _choose(subscribers: Sequence[Subscriber]) -> Iterator[Chunk]:
    """A chunk for each, some of them empty; all that is in one is locked."""
    free = []
    for subscriber in subscribers:
        if subscriber.breaker == BreakerState.OPEN:
            waiting = due_unmarked(subscriber.pk)
            in_stream = partial(set_next_aside, subscriber)
            probe = choose_probe(subscriber, waiting, in_stream)
            yield Chunk(subscriber=subscriber, ids=probe, is_full=bool(probe))
        elif (size := chunk_size(subscriber)) > 0:
            free.append((subscriber, size))
    queries = [
        _first_due(size).bound(subscriber_id=subscriber.pk) for subscriber, size in free
    ]
    for (subscriber, size), due in zip(free, rows_of_first(queries), strict=True):
        chosen = with_new_events(subscriber.pk, due, size)
        ids = within_bytes(with_followers(subscriber, chosen, size))
        note_start(subscriber, len(ids))
        yield Chunk(subscriber=subscriber, ids=ids, is_full=len(ids) >= size)


def unmark(chunk: Chunk) -> None:
    """Remove the marks of a message that was surely not sent."""
    if chunk.subscriber.is_streamed or not chunk.ids:
        turn.unmark(chunk.subscriber.pk)
    # None is left of what another dispatcher sent, and a worker settled, meanwhile.
    marked = Delivery.objects.filter(pk__in_array=chunk.ids, dispatch_count__gt=0)
    marked.filter(lease_token__isnull=True).update(
        dispatched_until=None, dispatch_count=F("dispatch_count") - 1
    )


@cache
def _first_due(size: int) -> Select:
    """A statement a size, of which there are at most as many as `chunk_limit`."""
    return Select(
        lambda: (
            due_unmarked(SUBSCRIBER)
            .order_by("due_at", "id")
            .values_list(*CANDIDATE)[:size]
        )
    )


_MARK = Update(
    lambda: (
        Delivery.objects.filter(AsyncCommit(), pk__in_array=IDS),
        {
            "dispatched_until": mark_end("dispatch_count"),
            "dispatch_count": F("dispatch_count") + 1,
        },
    )
)
