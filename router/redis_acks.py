"""On Redis, a worker must go on after an acknowledgement that the broker missed.

kombu forgets a message only when the broker took its acknowledgement. One that fails
while the broker restarts counts against the prefetch limit for ever; at as many as the
worker has pool processes it takes no message again, and stays silent and alive.
A message that is forgotten without need comes again, and finds nothing to claim.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import redis, virtual


class ForgettingQoS(redis.QoS):
    """Forgets a message also when the broker was not there to hear of it."""

    _client: Any = None

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

    @contextmanager
    def pipe_or_acquire(self, pipe: Any = None, client: Any = None) -> Iterator[Any]:
        """Each message takes two pipelines, and kombu makes a client for each: that
        costs as much as the pipeline itself. One for all of the channel's is enough."""
        if not (pipe or client or self._client):
            channel: Any = self.channel
            with channel.conn_or_acquire() as self._client:
                pass
        with super().pipe_or_acquire(pipe, client or self._client) as taken:
            yield taken

    def _connection_errors(self) -> tuple[type[BaseException], ...]:
        channel: Any = self.channel
        errors: tuple[type[BaseException], ...] = channel.connection_errors
        return errors

    def _forget(self, delivery_tag: Any) -> None:
        virtual.QoS.ack(self, delivery_tag)


def install() -> None:
    """For every URL that leads to Redis: there is no setting to name a QoS."""
    redis.Channel.QoS = ForgettingQoS
