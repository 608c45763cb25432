"""Takes records from a topic of Kafka as a member of a consumer group.

The group's offset is committed when the records are recorded, never before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import confluent_kafka
from confluent_kafka import KafkaError, TopicPartition

from router.transports.consumer import CALL_SECONDS, Incoming
from router.transports.kafka.binding import from_kafka
from router.transports.kafka.clients import Troubles, in_plain_words, no_way, settings
from router.transports.kafka.failures import retry_for
from router.transports.kafka.target import KafkaFeed

#: After which the other members get the partitions of one that is gone.
SESSION_SECONDS = 10.0


class Consumer:
    """A member of the group."""

    def __init__(self, feed: KafkaFeed) -> None:
        self._feed = feed
        self._troubles = Troubles()
        self._client: confluent_kafka.Consumer | None = None

    def receive(self, *, limit: int, wait_seconds: float) -> Sequence[Incoming]:
        client = self._client or self._opened()
        with in_plain_words(CALL_SECONDS):
            first = client.poll(wait_seconds)
            # A record without a value is false.
            records = [] if first is None else [first]
            # No more than what librdkafka has fetched already.
            records += client.consume(limit - 1, 0) if records else []
        self._raise(self._troubles.reason)
        return list(self._incoming(records))

    def acknowledge(self, incoming: Sequence[Incoming]) -> None:
        """Commit how far each partition is read."""
        ends: dict[int, int] = {}
        for each in incoming:
            partition, offset = each.handle
            ends[partition] = max(ends.get(partition, 0), offset + 1)
        offsets = [self._place(partition, end) for partition, end in ends.items()]
        with in_plain_words(CALL_SECONDS):
            committed = self._joined.commit(offsets=offsets, asynchronous=False)
        for place in committed or []:
            self._raise(place.error)

    def waiting(self) -> int | None:
        """In the partitions that this member has."""
        with in_plain_words(CALL_SECONDS):
            assigned = self._joined.assignment()
            committed = self._joined.committed(assigned, CALL_SECONDS)
            return sum(map(self._behind, committed)) if assigned else None

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    @property
    def _joined(self) -> confluent_kafka.Consumer:
        if self._client is None:
            raise ConnectionError("Nothing was received yet.")
        return self._client

    def _opened(self) -> confluent_kafka.Consumer:
        client = confluent_kafka.Consumer(
            {
                **settings(self._feed, self._troubles),
                "group.id": self._feed.group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "session.timeout.ms": int(SESSION_SECONDS * 1000),
                "socket.timeout.ms": int(CALL_SECONDS * 1000),
            }
        )
        self._client = client
        outcome = no_way(client, self._feed.topic, self._troubles, CALL_SECONDS)
        if outcome is not None:
            raise ConnectionError(outcome.evidence.error)
        client.subscribe([self._feed.topic])
        return client

    def _behind(self, place: TopicPartition) -> int:
        """As the last answer to a fetch has it. A request of its own would come after
        the fetch that is under way, which waits for records."""
        low, high = self._joined.get_watermark_offsets(place, cached=True)
        return max(0, high - max(low, place.offset))

    def _incoming(
        self, records: Sequence[confluent_kafka.Message]
    ) -> Iterator[Incoming]:
        for record in records:
            self._raise(record.error())
            partition, offset = record.partition() or 0, record.offset() or 0
            message = from_kafka(record)
            is_event = record.value() is not None or "specversion" in message.attributes
            yield Incoming(
                message=message,
                id=f"{self._feed.topic}/{partition}/{offset}",
                name=self._feed.topic,
                handle=(partition, offset),
                problem=""
                if is_event
                else "has no value: it is a tombstone of its key",
            )

    def _place(self, partition: int, offset: int) -> TopicPartition:
        return TopicPartition(self._feed.topic, partition, offset)

    @staticmethod
    def _raise(error: KafkaError | None) -> None:
        if error is not None:
            raise ConnectionError(retry_for(error, CALL_SECONDS).evidence.error)
