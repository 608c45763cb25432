"""What the tables of the router hold, and the invariants of the protocol over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set

from router.models import (
    Acknowledgement,
    BreakerState,
    Cursor,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    Subscriber,
    Turn,
)

#: An event's number, and a subscriber's primary key.
Owed = tuple[int, int]


class Now:
    """What the tables hold now, but for columns that nothing here looks at."""

    def __init__(self) -> None:
        self.events = list(EventRecord.objects.only("number", "event_id", "position"))
        self.deliveries = list(
            Delivery.objects.only(
                "event_id",
                "subscriber_id",
                "state",
                "lease_token",
                "leased_until",
                "vanished",
                "ordering_key",
                "due_at",
            ).order_by("pk")
        )
        self.opened = sorted(
            FailedTask.objects.open().values_list("delivery_id", flat=True)
        )
        self.subscribers = list(Subscriber.objects.all())
        self.cursors = {row.subscriber_id: row for row in Cursor.objects.all()}
        self.chunks = list(Acknowledgement.objects.select_related("cursor"))
        self.turns = {row.pk: row for row in Turn.objects.all()}
        self.positions = {
            event.number: event.position
            for event in self.events
            if event.position is not None
        }
        self.rows = {(row.event_id, row.subscriber_id): row for row in self.deliveries}

    def covering(self, owed: Owed) -> list[Acknowledgement]:
        """The chunks that acknowledged this, if it has no delivery."""
        number, subscriber_id = owed
        position = self.positions[number]
        return [
            chunk
            for chunk in self.chunks
            if chunk.cursor.subscriber_id == subscriber_id
            and chunk.first <= position <= chunk.last
        ]

    def waits_above_a_cursor(self, owed: Owed) -> bool:
        number, subscriber_id = owed
        cursor = self.cursors.get(subscriber_id)
        is_read = subscriber_id in self.turns or (cursor and cursor.is_behind)
        return bool(is_read and cursor and self.positions[number] > cursor.position)

    def acknowledged(self, owed: Set[Owed]) -> Iterator[Owed]:
        for each in owed:
            row = self.rows.get(each)
            if row.state == "ACKNOWLEDGED" if row else self.covering(each):
                yield each


def assert_each_event_is_owed_in_one_way(now: Now, owed: Set[Owed]) -> None:
    """By a delivery; else one chunk acknowledged it, or it lies above the cursor."""
    assert now.rows.keys() <= owed
    for each in owed - now.rows.keys():
        ways = [*now.covering(each), *[now] * now.waits_above_a_cursor(each)]
        assert len(ways) == 1, each


def assert_chunks_count_what_they_acknowledged(now: Now, owed: Set[Owed]) -> None:
    counts = Counter(
        chunk.pk for each in owed - now.rows.keys() for chunk in now.covering(each)
    )
    assert counts == Counter({chunk.pk: chunk.count for chunk in now.chunks})
    for chunk in now.chunks:
        assert chunk.last <= now.cursors[chunk.cursor.subscriber_id].position


def assert_one_lease_for_the_stream_and_for_rows(now: Now) -> None:
    for row in now.turns.values():
        assert (row.token is None) == (row.leased_until is None)
        assert row.token or not row.leased_count
        if row.leased_count:
            assert not any(
                each.state == DeliveryState.LEASED and each.subscriber_id == row.pk
                for each in now.deliveries
            )


def assert_every_state_has_what_belongs_to_it(now: Now) -> None:
    dead = [row.pk for row in now.deliveries if row.state == DeliveryState.DEAD]
    assert now.opened == sorted(dead)
    for row in now.deliveries:
        is_leased = row.state == DeliveryState.LEASED
        assert is_leased == (row.lease_token is not None)
        assert is_leased == (row.leased_until is not None)


def assert_a_suspect_shares_its_lease_with_nobody(now: Now) -> None:
    leased = [row for row in now.deliveries if row.state == DeliveryState.LEASED]
    by_token = Counter(row.lease_token for row in leased)
    suspects = [row for row in leased if row.vanished > 0]
    assert {by_token[row.lease_token] for row in suspects} <= {1}
    for subscriber_id, turn in now.turns.items():
        cursor = now.cursors[subscriber_id]
        if turn.leased_count and cursor.position < cursor.alone_to:
            assert turn.leased_count == 1


def assert_a_breaker_that_is_not_closed_looks_again(now: Now) -> None:
    for row in now.subscribers:
        if row.breaker == BreakerState.OPEN:
            assert row.probe_at is not None
            assert row.incident_since is not None
