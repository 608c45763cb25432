"""Google Pub/Sub as a foreign router, read by Google's client as it is."""

from __future__ import annotations

import signal
import socket
import sqlite3
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PubsubMessage

from tests.servers import pubsub_fake
from tests.servers.foreign import Received
from tests.servers.server import Server
from tests.servers.waiting import free_port, wait_until

PREFIX = "ce-"
CONTENT_TYPE = "content-type"
READ_SECONDS = 30
#: After so long, what a client took and did not acknowledge comes again.
LEASE_SECONDS = 5


class ForeignPubsub:
    kind = "pubsub"
    modes = ("binary", "structured")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.start()

    def make(self) -> dict[str, Any]:
        target = self.missing()
        topic = target["topic"]
        with self._publisher() as publisher:
            publisher.create_topic(name=topic)
        with self._subscriber() as subscriber:
            subscriber.create_subscription(
                name=_subscription(topic),
                topic=topic,
                ack_deadline_seconds=LEASE_SECONDS,
            )
        return target

    def missing(self) -> dict[str, Any]:
        topic = f"projects/test/topics/t{uuid.uuid4().hex[:12]}"
        return {"endpoint": f"http://127.0.0.1:{self._port}", "topic": topic}

    def denied(self) -> dict[str, Any] | None:
        return self._failing("PERMISSION_DENIED", "")

    def refusing(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """As a topic with a schema does."""
        return self._failing("INVALID_ARGUMENT", "poison"), {"subject": "poison"}

    def fail(
        self, target: Mapping[str, Any], code: str, text: str, times: int = 1_000_000
    ) -> None:
        """From now on, as often, refuse requests that have a message with this text."""
        row = target["topic"], code, text, times
        self._query("INSERT INTO fault VALUES (?, ?, ?, ?)", *row)

    def read_all(self, target: Mapping[str, Any]) -> Sequence[Received]:
        return [_received(message) for message in self.take_all(target)]

    def take_all(self, target: Mapping[str, Any]) -> list[PubsubMessage]:
        """The messages as Pub/Sub has them, acknowledged."""
        name = _subscription(target["topic"])
        taken: list[PubsubMessage] = []
        with self._subscriber() as subscriber:
            while self.left({"subscription": name}):
                messages = subscriber.pull(
                    subscription=name, max_messages=1_000, timeout=READ_SECONDS
                ).received_messages
                taken += [each.message for each in messages]
                ids = [each.ack_id for each in messages]
                subscriber.acknowledge(subscription=name, ack_ids=ids)
        return taken

    def make_feed(self) -> dict[str, Any]:
        return self.make_pair()[1]

    def make_pair(self) -> tuple[dict[str, Any], dict[str, Any]]:
        target = self.make()
        feed = {
            "from": self.kind,
            "endpoint": target["endpoint"],
            "subscription": _subscription(target["topic"]),
        }
        return target, feed

    def send(self, feed: Mapping[str, Any], messages: Sequence[Received]) -> None:
        topic = feed["subscription"].replace("/subscriptions/", "/topics/")
        with self._publisher() as publisher:
            publisher.publish(topic=topic, messages=list(map(_sent, messages)))

    def left(self, feed: Mapping[str, Any]) -> int:
        query = "SELECT count(*) FROM message WHERE subscription = ?"
        [[count]] = self._query(query, feed["subscription"])
        return int(count)

    def kill(self) -> None:
        self.server.kill()

    def start(self) -> None:
        program = [sys.executable, str(Path(pubsub_fake.__file__))]
        self.server = Server(
            [*program, str(self._port), str(self._folder / "messages")],
            self._folder / "fake.log",
        )
        wait_until(self._listens)

    def freeze(self) -> None:
        self.server.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.server.send(signal.SIGCONT)

    def _listens(self) -> bool:
        self.server.check_runs()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def _failing(self, code: str, text: str) -> dict[str, Any]:
        target = self.make()
        self.fail(target, code, text)
        return target

    def _query(self, statement: str, *values: Any) -> list[Any]:
        path = self._folder / "messages"
        with closing(sqlite3.connect(path, timeout=30)) as file, file:
            return file.execute(statement, values).fetchall()

    def _publisher(self) -> PublisherClient:
        return PublisherClient(
            transport=PublisherGrpcTransport(channel=self._channel())
        )

    def _subscriber(self) -> SubscriberClient:
        return SubscriberClient(
            transport=SubscriberGrpcTransport(channel=self._channel())
        )

    def _channel(self) -> Any:
        return grpc.insecure_channel(f"127.0.0.1:{self._port}")


@contextmanager
def foreign_pubsub() -> Iterator[ForeignPubsub]:
    with TemporaryDirectory(prefix="fanfare-pubsub-") as folder:
        running = ForeignPubsub(Path(folder))
        try:
            yield running
        finally:
            running.server.kill()


def _subscription(topic: str) -> str:
    return topic.replace("/topics/", "/subscriptions/")


def _sent(message: Received) -> PubsubMessage:
    attributes = {
        f"{PREFIX}{name}": str(value) for name, value in message.attributes.items()
    }
    return PubsubMessage(
        data=message.body,
        attributes={CONTENT_TYPE: message.content_type, **attributes},
        message_id=message.id,
    )


def _received(message: PubsubMessage) -> Received:
    attributes = dict(message.attributes)
    return Received(
        body=message.data,
        content_type=attributes.pop(CONTENT_TYPE),
        attributes={
            name.removeprefix(PREFIX): value for name, value in attributes.items()
        },
        id=message.message_id,
    )
