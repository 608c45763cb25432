"""RabbitMQ as a foreign router, read by kombu's client, which is not the router's."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import amqp

from tests.servers.foreign import Received
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.waiting import wait_until

PREFIX = "cloudEvents_"


class ForeignRabbitMQ:
    kind = "amqp"
    modes = ("binary", "structured")

    def __init__(self, node: RabbitMQ) -> None:
        self._node = node
        self._newest_queue = ""

    def make(self) -> dict[str, Any]:
        name = self._newest_queue = f"test-{uuid.uuid4().hex[:12]}"
        with self._channel() as channel:
            channel.exchange_declare(name, "topic", durable=True, auto_delete=False)
            channel.queue_declare(
                name,
                durable=True,
                auto_delete=False,
                arguments={"x-queue-type": "quorum"},
            )
            channel.queue_bind(name, name, "#")
        return {"url": self._node.url, "exchange": name}

    def missing(self) -> dict[str, Any]:
        return {"url": self._node.url, "exchange": "no-such-exchange"}

    def denied(self) -> dict[str, Any] | None:
        url = self._node.url.replace("guest:guest", "guest:wrong-password")
        return {"url": url, "exchange": "amq.topic"}

    def refusing(self) -> tuple[dict[str, Any], dict[str, Any]]:
        target = {**self.make(), "routing_key": "{subject}.{partitionkey}"}
        return target, {"subject": "s" * 200, "partitionkey": "k" * 200}

    def read_all(self, target: Mapping[str, Any]) -> Sequence[Received]:
        read = []
        with self._channel() as channel:
            while message := channel.basic_get(target["exchange"], no_ack=True):
                read.append(_received(message))
        return read

    def make_feed(self) -> dict[str, Any]:
        return self.make_pair()[1]

    def make_pair(self) -> tuple[dict[str, Any], dict[str, Any]]:
        target = self.make()
        queue = target["exchange"]
        return target, {"from": self.kind, "url": self._node.url, "queue": queue}

    def send(self, feed: Mapping[str, Any], messages: Sequence[Received]) -> None:
        with self._channel() as channel:
            confirmed = _Confirmed(channel)
            for message in messages:
                channel.basic_publish(_sent(message), routing_key=feed["queue"])
            # Else a node that is busy may lose what it had not written.
            while confirmed.count < len(messages):
                channel.connection.drain_events(timeout=30)

    def left(self, feed: Mapping[str, Any]) -> int:
        with self._channel() as channel:
            declared = channel.queue_declare(feed["queue"], passive=True)
            return int(declared.message_count)

    def kill(self) -> None:
        wait_until(lambda: self._node.knows_queue(self._newest_queue), 30)
        self._node.kill()

    def start(self) -> None:
        self._node.start()

    def freeze(self) -> None:
        self._node.server.send_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._node.server.send_all(signal.SIGCONT)

    def _channel(self) -> Any:
        return _Channel(self._node.port)


class _Channel:
    def __init__(self, port: int) -> None:
        self._connection = amqp.Connection(f"127.0.0.1:{port}", connect_timeout=30)

    def __enter__(self) -> Any:
        self._connection.connect()
        return self._connection.channel()

    def __exit__(self, *error: object) -> None:
        self._connection.close()


class _Confirmed:
    """Counts what the node confirmed, in its order."""

    def __init__(self, channel: Any) -> None:
        self.count = 0
        self._alone: set[int] = set()
        channel.confirm_select()
        channel.events["basic_ack"].add(self._note)

    def _note(self, tag: int, is_multiple: bool) -> None:
        """Single confirms come in any order; one of many covers all before it."""
        if is_multiple:
            self.count = max(self.count, tag)
        else:
            self._alone.add(tag)
        while self.count + 1 in self._alone:
            self.count += 1
            self._alone.remove(self.count)


def _sent(message: Received) -> Any:
    return amqp.Message(
        message.body,
        content_type=message.content_type,
        delivery_mode=2,
        application_headers={
            f"{PREFIX}{name}": value for name, value in message.attributes.items()
        },
        **({"message_id": message.id} if message.id else {}),
    )


def _received(message: Any) -> Received:
    headers = message.headers.items()
    body = message.body
    return Received(
        body=body if isinstance(body, bytes) else body.encode(),
        content_type=message.properties["content_type"],
        attributes={name.removeprefix(PREFIX): value for name, value in headers},
    )
