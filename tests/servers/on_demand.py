"""The servers of a long run: each starts when it is first asked for, and stays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol

from kombu import Connection

from tests.servers.postgresql import (
    PostgreSQL,
    database_of_its_own,
    private_postgresql,
)
from tests.servers.rabbitmq import RabbitMQ, rabbitmq
from tests.servers.server import Server
from tests.servers.valkey import valkey

QUEUES = ("router.default", "router.slow", "router.webhooks", "celery")


class Startable(Protocol):
    """A server that can be killed and started again, on the same data."""

    url: str
    server: Server

    def start(self) -> Server: ...


BROKERS: dict[str, Callable[[], AbstractContextManager[Startable]]] = {
    "valkey": valkey,
    "rabbitmq": rabbitmq,
}


class Servers(ExitStack):
    """Stops what it has started at the end of its `with` block."""

    def __init__(self, *, is_durable: bool = False) -> None:
        super().__init__()
        self._is_durable = is_durable
        self._brokers: dict[str, Startable] = {}
        self._postgresql: PostgreSQL | None = None
        self._foreign: RabbitMQ | None = None

    def broker(self, name: str) -> Startable:
        """The broker of this name, without messages. Raises `Unavailable`."""
        if name not in self._brokers:
            self._brokers[name] = self.enter_context(BROKERS[name]())
        flush(self._brokers[name].url)
        return self._brokers[name]

    def postgresql(self) -> PostgreSQL:
        if self._postgresql is None:
            server = private_postgresql(is_durable=self._is_durable)
            self._postgresql = self.enter_context(server)
        return self._postgresql

    def foreign_rabbitmq(self) -> RabbitMQ:
        """A node that is no broker. Raises `Unavailable`."""
        if self._foreign is None:
            self._foreign = self.enter_context(rabbitmq())
        return self._foreign

    @contextmanager
    def database(self, *, template: str = "template1") -> Iterator[str]:
        """The URL of a new database of this PostgreSQL: empty, or a copy."""
        with database_of_its_own(self.postgresql().url, template=template) as url:
            yield url


def flush(broker_url: str) -> None:
    """Delete every message that waits in the broker."""
    with Connection(broker_url) as connection:
        if broker_url.startswith("redis"):
            channel: Any = connection.default_channel
            channel.client.flushall()
            return
        for queue in QUEUES:
            with contextlib.suppress(*connection.channel_errors):
                connection.channel().queue_purge(queue)
