"""Kafka as a foreign router: librdkafka's cluster for tests, in its own process."""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from tests.servers import kafka_mock
from tests.servers.foreign import Received

PREFIX = "ce_"
READ_SECONDS = 30


class ForeignKafka:
    kind = "kafka"
    modes = ("binary", "structured")

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.servers = self._line()

    def make(self) -> dict[str, Any]:
        topic = f"test-{uuid.uuid4().hex[:12]}"
        self.tell("topic", topic)
        return self._target(topic)

    def missing(self) -> dict[str, Any]:
        return self._failing(KafkaError.UNKNOWN_TOPIC_OR_PART)

    def denied(self) -> dict[str, Any] | None:
        return self._failing(KafkaError.TOPIC_AUTHORIZATION_FAILED)

    def refusing(self) -> tuple[dict[str, Any], dict[str, Any]]:
        target = {**self.make(), "max_message_bytes": 1_000}
        return target, {"subject": "s" * 250, "partitionkey": "k" * 250}

    def read_all(self, target: Mapping[str, Any]) -> Sequence[Received]:
        """Partition after partition: Kafka has no order among them."""
        with self._consumer() as consumer:
            return [
                _received(message)
                for partition in range(kafka_mock.PARTITIONS)
                for message in _read(consumer, target["topic"], partition)
            ]

    def make_feed(self) -> dict[str, Any]:
        return self.make_pair()[1]

    def make_pair(self) -> tuple[dict[str, Any], dict[str, Any]]:
        target = self.make()
        return target, {"from": self.kind, **target, "group": target["topic"]}

    def send(self, feed: Mapping[str, Any], messages: Sequence[Received]) -> None:
        """All into one partition, which keeps their order."""
        records = [(message.body, _headers(message), b"any") for message in messages]
        self.write(feed["topic"], records)

    def write(self, topic: str, records: Sequence[tuple[Any, Any, Any]]) -> None:
        """Values, headers and keys."""
        producer = Producer({"bootstrap.servers": self.servers, "acks": "all"})
        for value, headers, key in records:
            producer.produce(topic, value, key, headers=headers)
        assert producer.flush(READ_SECONDS) == 0

    def left(self, feed: Mapping[str, Any]) -> int:
        places = [
            TopicPartition(feed["topic"], partition)
            for partition in range(kafka_mock.PARTITIONS)
        ]
        with self._consumer(feed["group"]) as consumer:
            committed = consumer.committed(places, READ_SECONDS)
            return sum(
                consumer.get_watermark_offsets(place, READ_SECONDS)[1]
                - max(0, place.offset)
                for place in committed
            )

    def kill(self) -> None:
        self.tell("down")

    def start(self) -> None:
        self.tell("up")

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def tell(self, *words: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        assert self._line() == "done"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip()

    def _target(self, topic: str) -> dict[str, Any]:
        return {"bootstrap_servers": self.servers, "topic": topic}

    def _failing(self, code: int) -> dict[str, Any]:
        target = self.make()
        self.tell("error", target["topic"], code)
        return target

    @contextmanager
    def _consumer(self, group: str = "test") -> Iterator[Consumer]:
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": group})
        try:
            yield consumer
        finally:
            consumer.close()


@contextmanager
def foreign_kafka() -> Iterator[ForeignKafka]:
    """Raises what went wrong with its start; the process ends with the test."""
    process = subprocess.Popen(
        [sys.executable, str(Path(kafka_mock.__file__))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            yield ForeignKafka(process)
        finally:
            process.kill()


def _read(consumer: Consumer, topic: str, partition: int) -> Iterator[Message]:
    consumer.assign([TopicPartition(topic, partition, 0)])
    place = TopicPartition(topic, partition)
    _, end = consumer.get_watermark_offsets(place, timeout=READ_SECONDS)
    read = 0
    while read < end:
        message = consumer.poll(READ_SECONDS)
        assert message is not None, f"{read} of {end} messages came"
        assert message.error() is None, message.error()
        yield message
        read = (message.offset() or 0) + 1


def _headers(message: Received) -> list[tuple[str, str]]:
    attributes = message.attributes.items()
    return [
        ("content-type", message.content_type),
        *((f"{PREFIX}{name}", str(value)) for name, value in attributes),
    ]


def _received(message: Message) -> Received:
    headers = {name: value.decode() for name, value in message.headers() or []}
    return Received(
        body=message.value() or b"",
        content_type=headers.pop("content-type"),
        attributes={
            name.removeprefix(PREFIX): value for name, value in headers.items()
        },
    )
