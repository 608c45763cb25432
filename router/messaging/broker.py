"""The one place that sends to the broker and asks how many messages wait there."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from amqp.exceptions import AMQPError
from celery import Celery, current_app
from kombu import Connection
from kombu.exceptions import (  # type: ignore[attr-defined]  # the stubs lack one
    BatchPublishError,
    ChannelError,
    OperationalError,
)
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from router.conf import QUEUES, conf
from router.messaging.redis_qos import keep_client

TASK = "router.deliver"
# The dispatcher must not hang on a broker that accepts and stays silent. Each transport
# takes the options it knows: the first are Redis's, the others AMQP's, where only a
# confirmed message is known to have arrived.
QUICK = {
    "socket_connect_timeout": 0.25,
    "socket_timeout": 0.5,
    "retry_on_timeout": False,
    "max_retries": 0,
    "connect_timeout": 1.0,
    "read_timeout": 1.0,
    "write_timeout": 1.0,
    "confirm_publish": True,
}


class BrokerTrouble(Exception):
    """Raised with the index of the first message that was surely not sent."""

    def __init__(self, why: str, *, unsent_from: int = 0) -> None:
        super().__init__(why)
        self.unsent_from = unsent_from


class BrokerUnreachable(BrokerTrouble):
    """The broker did not take the message, as far as it says: it may be sent again at
    once, and what it took in spite of that is a message too many, no more."""


class BrokerSilent(BrokerTrouble):
    """The broker did not answer: it may or may not have taken the message."""


@dataclass(frozen=True)
class Message:
    """Deliveries of one subscriber, by their ids: no payload. Without ids it says that
    the subscriber's cursor is to be served."""

    #: The class of work.
    queue: str
    subscriber_id: int
    ids: Sequence[int]


class Doorbell:
    """A connection of the dispatcher's own, opened when first needed."""

    def __init__(self, app: Celery | None = None) -> None:
        self._app = app or current_app
        self._connection: Connection | None = None

    def waiting_count(self, queue: str) -> int:
        """Messages waiting in the queue of this class of work.

        Raises `BrokerUnreachable` or `BrokerSilent`.
        """
        with self._translated():
            connection = self._connect()
            channel: Any = connection.default_channel
            try:
                declared = channel.queue_declare(QUEUES[queue], passive=True)
            except ChannelError:
                # No such queue; on Redis that is every empty one. The connection is
                # as good as before, and another would cost more than all of a turn.
                if _is_amqp(connection):
                    # Else kombu believes for ever that it has declared it.
                    (connection.declared_entities or set()).clear()
                return 0
            return int(declared.message_count)

    def send(self, messages: Sequence[Message]) -> None:
        """Put each on its queue: on Redis in two round trips, elsewhere in turn.

        Raises `BrokerUnreachable` or `BrokerSilent`.
        """
        sent, is_together = 0, False
        try:
            with self._translated():
                connection = self._connect()
                producer: Any = self._app.amqp.Producer(connection, auto_declare=False)
                # The first alone: a worker begins while the others are composed.
                for message in messages[:1]:
                    self._send(producer, message)
                    sent += 1
                is_together = producer.supports_batch_publish
                with producer.batch():
                    for message in messages[1:]:
                        self._send(producer, message)
                        sent += 1
        except BrokerTrouble as trouble:
            if is_together:
                trouble.unsent_from = _unsent_from_all(trouble, sent, len(messages))
            else:
                trouble.unsent_from = _unsent_from(trouble, sent)
            raise

    def _send(self, producer: Any, message: Message) -> None:
        queue = QUEUES[message.queue]
        headers = _headers(message)
        # Redis needs no queue before its first message.
        is_amqp = _is_amqp(producer.connection)
        declare = [self._app.amqp.queues[queue]] if is_amqp else []
        # Straight to the queue: asking Redis whom an exchange serves doubles the cost.
        producer.publish(
            [[message.subscriber_id, list(message.ids)], {}, {}],
            exchange="",
            routing_key=queue,
            serializer="json",
            headers=headers,
            correlation_id=headers["id"],
            declare=declare,
            retry=False,
        )

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def _connect(self) -> Connection:
        if self._connection is None:
            options = {**self._app.conf.broker_transport_options, **QUICK}
            self._connection = self._app.connection_for_write(transport_options=options)
            keep_client(self._connection)
        return self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (
            OperationalError,
            BatchPublishError,
            RedisError,
            AMQPError,
            OSError,
        ) as error:
            self.close()
            # kombu wraps what it met.
            met = error.__cause__ or error
            is_silent = isinstance(met, RedisTimeoutError | TimeoutError)
            kind = BrokerSilent if is_silent else BrokerUnreachable
            raise kind(type(met).__name__) from error


def _headers(message: Message) -> dict[str, Any]:
    """What Celery's protocol 2 needs of a task's message, and people who watch it.

    Celery's own `send_task` takes as long again for what no worker of the router reads.
    """
    return {
        "lang": "py",
        "task": TASK,
        "id": str(uuid.uuid4()),
        "retries": 0,
        "eta": None,
        # The last resort for what no signal stops: the work is another's by then.
        "timelimit": [math.ceil(conf().lease_seconds), None],
        # Celery would make it of all the ids.
        "argsrepr": f"({message.subscriber_id}, {_words(message)})",
        "kwargsrepr": "{}",
        "ignore_result": True,
    }


def _words(message: Message) -> str:
    return f"{len(message.ids)} deliveries" if message.ids else "the next of the log"


def _is_amqp(connection: Connection) -> bool:
    return bool(connection.transport.driver_type == "amqp")


def _unsent_from(trouble: BrokerTrouble, sent: int) -> int:
    return sent if isinstance(trouble, BrokerUnreachable) else sent + 1


def _unsent_from_all(trouble: BrokerTrouble, sent: int, count: int) -> int:
    """Of messages that leave together at the end: before it, only the first did."""
    is_left = sent == count and isinstance(trouble, BrokerSilent)
    return count if is_left else 1
