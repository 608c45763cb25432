"""Publishes events to a topic of Kafka, each confirmed by all replicas in sync.

librdkafka sends from threads of its own; a batch waits for the delivery reports of its
records. When it ends, none of them is left in librdkafka's buffer.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from router.contract.binding import written
from router.contract.event import Event
from router.contract.outcomes import Outcome
from router.transports.kafka.binding import Record, to_kafka
from router.transports.kafka.clients import Troubles, no_way, settings
from router.transports.kafka.failures import Result, is_fatal, outcomes_of, refused
from router.transports.kafka.target import KafkaTarget
from router.transports.publisher import Unsent

MAX_BATCH = 500
#: Another thread's poll may take the last report of this batch.
POLL_SECONDS = 0.05
#: How late librdkafka notices that a record has waited too long.
LATENESS_SECONDS = 1.0


class Publisher:
    """A producer for one topic."""

    def __init__(self, target: KafkaTarget) -> None:
        self._target = target
        self._producer: Producer | None = None

    def message(self, event: Event) -> Record:
        return to_kafka(written(event, self._target.mode))

    def take(self, messages: Sequence[Record]) -> int:
        return min(len(messages), MAX_BATCH)

    def publish(
        self, messages: Sequence[Record], *, deadline_seconds: float
    ) -> Sequence[Outcome | None]:
        ends_at = time.monotonic() + deadline_seconds
        producer = self._producer or self._opened(deadline_seconds)
        results: dict[int, Result] = {}
        for place, record in enumerate(messages):
            self._produce(producer, record, place, results)
        end = _wait(producer, results, len(messages), ends_at)
        if len(results) < len(messages) or any(map(is_fatal, results.values())):
            self._give_up(producer)
        return outcomes_of(
            [_result(results, place, end) for place in range(len(messages))],
            [record.key for record in messages],
            deadline_seconds,
        )

    def close(self) -> None:
        if self._producer is not None:
            self._give_up(self._producer)

    def _opened(self, deadline_seconds: float) -> Producer:
        """A producer that knows the topic. Raises `Unsent`."""
        troubles = Troubles()
        waits = max(deadline_seconds - LATENESS_SECONDS, deadline_seconds / 2)
        producer = Producer(
            {
                **settings(self._target, troubles),
                "acks": "all",
                "enable.idempotence": True,
                "message.timeout.ms": int(waits * 1000),
                "message.max.bytes": self._target.max_message_bytes,
                # Java's clients give a key to the same partition.
                "partitioner": "murmur2_random",
            }
        )
        outcome = no_way(producer, self._target.topic, troubles, deadline_seconds)
        if outcome is not None:
            raise Unsent(outcome)
        self._producer = producer
        return producer

    def _produce(
        self,
        producer: Producer,
        record: Record,
        place: int,
        results: dict[int, Result],
    ) -> None:
        try:
            producer.produce(
                self._target.topic,
                record.value,
                record.key,
                headers=[*record.headers],
                on_delivery=partial(_note, results, place),
            )
        except BufferError:
            results[place] = KafkaError(KafkaError._QUEUE_FULL)
        except KafkaException as error:
            results[place] = refused(error.args[0])

    def _give_up(self, producer: Producer) -> None:
        """Let nothing more be sent by it: the next batch opens another.

        Other threads that use it see their records fail.
        """
        producer.purge()
        if self._producer is producer:
            self._producer = None


def _wait(
    producer: Producer, results: dict[int, Result], count: int, ends_at: float
) -> KafkaError | None:
    """Return when all results are there, the time is over, or the producer ended: with
    what ended it."""
    try:
        producer.poll(0)
        while len(results) < count and time.monotonic() < ends_at:
            producer.poll(POLL_SECONDS)
    except KafkaException as error:
        return cast(KafkaError, error.args[0])
    return None


def _result(results: dict[int, Result], place: int, end: KafkaError | None) -> Result:
    if place not in results:
        return end or KafkaError(KafkaError._MSG_TIMED_OUT)
    result = results[place]
    # A record's own report has not the reason.
    return end if end and is_fatal(result) else result


def _note(
    results: dict[int, Result], place: int, error: KafkaError | None, _: Message
) -> None:
    results[place] = error
