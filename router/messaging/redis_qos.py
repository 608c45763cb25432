"""On Redis, a worker must go on after a missed acknowledgement, and after junk.

kombu ends the worker at an entry of a list that is no message, and never again gives
messages back once an entry among the unacknowledged is none. Both are dropped here.

kombu forgets a message only when the broker took its acknowledgement. One that fails
while the broker restarts counts against the prefetch limit for ever; at as many as the
worker has pool processes it takes no message again, and stays silent and alive.
A message that is forgotten without need comes again, and finds nothing to claim.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from queue import Empty
from typing import Any

from kombu.transport import redis, virtual
from redis.exceptions import DataError

logger = logging.getLogger(__name__)
#: What becomes of junk where kombu expects an envelope.
JUNK = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    RecursionError,
    DataError,
)


class OneClientQoS(redis.QoS):
    """Takes one client for all messages of a channel, and no transaction.

    Each message takes two pipelines. kombu makes a client for each: a sixth of the
    processor's time that a message costs. It also puts the two commands of each into
    MULTI and EXEC; without these they still go in one packet. If only one of them is
    done, the message may be lost, and what it was for is due again.
    """

    _client: Any = None

    @contextmanager
    def pipe_or_acquire(self, pipe: Any = None, client: Any = None) -> Iterator[Any]:
        if pipe or client:
            with super().pipe_or_acquire(pipe, client) as taken:
                yield taken
            return
        if not self._client:
            channel: Any = self.channel
            with channel.conn_or_acquire() as self._client:
                pass
        yield self._client.pipeline(transaction=False)


class ForgettingQoS(OneClientQoS):
    """Forgets a message also when the broker missed its acknowledgement."""

    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)
        except self._connection_errors():
            self._forget(delivery_tag)
            raise

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        try:
            super().reject(delivery_tag, requeue=requeue)
        except self._connection_errors():
            self._forget(delivery_tag)
            raise

    def restore_by_tag(
        self, tag: Any, client: Any = None, leftmost: bool = False
    ) -> None:
        try:
            super().restore_by_tag(tag, client=client, leftmost=leftmost)
        except JUNK:
            logger.warning("An unacknowledged entry that is no message: dropped.")
            with self.pipe_or_acquire(client=client) as pipe:
                pipe.zrem(self.unacked_index_key, tag).hdel(self.unacked_key, tag)
                pipe.execute()

    def _connection_errors(self) -> tuple[type[BaseException], ...]:
        channel: Any = self.channel
        errors: tuple[type[BaseException], ...] = channel.connection_errors
        return errors

    def _forget(self, delivery_tag: Any) -> None:
        virtual.QoS.ack(self, delivery_tag)


class JunkDropping:
    """A channel that drops an entry of a queue that is no message."""

    QoS = ForgettingQoS

    def _brpop_read(self, **options: Any) -> Any:
        parent: Any = super()
        try:
            return parent._brpop_read(**options)
        except JUNK as error:
            # The entry is off its list already, so that dropping it is doing nothing.
            kind = type(error).__name__
            logger.warning("An entry of a queue that is no message: dropped. %s", kind)
            raise Empty from None


class OneClient:
    """A channel that takes one client for all that it sends.

    kombu makes one for each message: a third of the processor's time that it costs.
    """

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        parent: Any = super()
        if asynchronous:
            return parent._create_client(asynchronous=True)
        self._kept = self._kept or parent._create_client()
        return self._kept


def tolerate(connection: Any) -> None:
    """Let this connection of kombu go on after both, if it leads to Redis."""
    _mix_in(JunkDropping, connection)


def keep_client(connection: Any) -> None:
    """Let the channels of this connection be `OneClient`, if it leads to Redis."""
    _mix_in(OneClient, connection)


def _mix_in(own: type, connection: Any) -> None:
    """A broker that the connection fails over to is served in the same way."""
    given = connection.get_transport_cls
    connection.get_transport_cls = lambda: _mixed(own, given())


@cache
def _mixed(own: type, transport: Any) -> Any:
    if not issubclass(transport, redis.Transport):
        return transport
    channel = type("Channel", (own, transport.Channel), {})
    return type("Transport", (transport,), {"Channel": channel})
