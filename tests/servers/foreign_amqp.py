"""RabbitMQ as a foreign router, read by kombu's client, which is not the router's."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import amqp

from tests.servers.foreign import Received
from tests.servers.rabbitmq import RabbitMQ

PREFIX = "cloudEvents_"


class ForeignRabbitMQ:
    kind = "amqp"
    modes = ("binary", "structured")

    def __init__(self, node: RabbitMQ) -> None:
        self._node = node

    def make(self) -> dict[str, Any]:
        name = f"test-{uuid.uuid4().hex[:12]}"
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

    def kill(self) -> None:
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


def _received(message: Any) -> Received:
    headers = message.headers.items()
    body = message.body
    return Received(
        body=body if isinstance(body, bytes) else body.encode(),
        content_type=message.properties["content_type"],
        attributes={name.removeprefix(PREFIX): value for name, value in headers},
    )
