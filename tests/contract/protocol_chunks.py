"""What workers do with chunks of the stream, step by step, for the state machine."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest
from django.db import transaction

from router.contract.errors import LeaseLost
from router.contract.outcomes import Dead, Evidence, FailureKind, Retry
from router.flow.cursor import turn
from router.flow.cursor.reading import Chunk, next_chunk
from router.flow.deliver.releasing import release
from router.flow.deliver.set_aside import note_trouble, set_aside
from router.flow.deliver.settling import acknowledge, settle_failure
from router.flow.deliver.stream_settling import acknowledge_chunk
from router.flow.lease import Claim
from router.models import Delivery, DeliveryState, Turn
from tests.contract.protocol_now import Owed

OUTCOMES: list[Retry | Dead] = [
    Retry(Evidence("ValueError", "no")),
    Retry(Evidence("ConnectionError", "gone"), kind=FailureKind.TROUBLED),
    Retry(Evidence("RetryLater", "busy"), after_seconds=3, is_asked=True),
    Dead(Evidence("Reject", "never")),
]


class Chunks:
    """The chunks that workers hold, some of them under a lease that they lost."""

    def __init__(self, effects: Counter[Owed]) -> None:
        self.held: list[Chunk] = []
        #: As the transactions of handlers committed them.
        self._effects = effects

    def serve(self, subscriber_id: int) -> None:
        chunk = next_chunk(subscriber_id)
        if chunk is not None and chunk.events:
            self.held.append(chunk)

    def take(self, pick: int) -> None:
        """A message comes, or comes once more."""
        streamed = list(Turn.objects.order_by("pk").values_list("pk", flat=True))
        if streamed:
            self.serve(streamed[pick % len(streamed)])

    def acknowledge(self, pick: int) -> None:
        """Some of the first events, or all of them."""
        for chunk in self._pop(pick):
            is_whole = pick % 3 == 0
            count = len(chunk.events) if is_whole else 1 + pick % len(chunk.events)
            self._acknowledge(chunk, count, keeps_lease=pick % 5 == 0)
            if pick % 2:
                # Its COMMIT seemed lost: it writes once more.
                self.held.append(chunk)

    def acknowledge_all(self) -> None:
        for chunk in self._pop(0):
            self._acknowledge(chunk, len(chunk.events))

    def _acknowledge(
        self, chunk: Chunk, count: int, *, keeps_lease: bool = False
    ) -> None:
        """`keeps_lease`: it dies before it gives the lease back."""
        done, rest = _cut(chunk, count)
        is_last = rest is None and not keeps_lease
        try:
            with transaction.atomic():
                acknowledge_chunk(done, run_ms=[1.0] * count, is_last=is_last)
        except LeaseLost:
            return
        subscriber_id = chunk.subscriber.pk
        self._effects.update((event.number, subscriber_id) for event in done.events)
        if rest is not None:
            self.held.append(rest)

    def fail(self, pick: int) -> None:
        """The first event in its place, or the last ahead of those before it."""
        for chunk in self._pop(pick):
            here = chunk.position
            [*others, last] = chunk.events
            if others and pick % 3 == 0:
                failed = chunk.only([last], position=here, until=here)
                rest = chunk.only(others, position=here, until=chunk.until)
                self._set_aside(failed, rest, pick)
            else:
                self._set_aside(*_cut(chunk, 1), pick)

    def _set_aside(self, failed: Chunk, rest: Chunk | None, pick: int) -> None:
        # Seldom one that opens the breaker: chunks would be small from then on.
        outcome = OUTCOMES[1] if pick % 8 == 1 else OUTCOMES[pick % 2 * 2]
        try:
            is_left_alone = set_aside(failed, outcome, run_ms=1, is_last=rest is None)
        except LeaseLost:
            return
        if rest is not None and not is_left_alone:
            self.held.append(rest)
        elif rest is not None:
            turn.give_back(failed.subscriber.pk, failed.token)

    def break_off(self, pick: int) -> None:
        for chunk in self._pop(pick):
            if pick % 3:
                note_trouble(chunk, is_session_lost=pick % 3 == 1)
            else:
                turn.give_back(chunk.subscriber.pk, chunk.token)

    def _pop(self, pick: int) -> list[Chunk]:
        return [self.held.pop(pick % len(self.held))] if self.held else []


def assert_a_late_writer_hits_nothing(pick: int) -> None:
    """A worker that names a token that is not in the row changes nothing."""
    before = list(Delivery.objects.order_by("pk").values())
    leased = Delivery.objects.filter(state=DeliveryState.LEASED)
    for delivery in leased.select_related("event", "subscriber")[:1]:
        stale = Claim(
            subscriber=delivery.subscriber,
            token=uuid.uuid4(),
            deliveries=(delivery,),
        )
        release(stale)
        settle_failure(stale, OUTCOMES[pick % len(OUTCOMES)], run_ms=1)
        with pytest.raises(LeaseLost), transaction.atomic():
            acknowledge(stale, run_ms={})
    assert list(Delivery.objects.order_by("pk").values()) == before


def _cut(chunk: Chunk, count: int) -> tuple[Chunk, Chunk | None]:
    first, rest = chunk.events[:count], chunk.events[count:]
    if not rest:
        return chunk, None
    until = first[-1].position
    done = chunk.only(first, position=chunk.position, until=until)
    return done, chunk.only(rest, position=until, until=chunk.until)
