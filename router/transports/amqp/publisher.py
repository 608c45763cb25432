"""Publishes events to an exchange of RabbitMQ, each confirmed.

A batch has a channel of its own, on which its messages keep their order; the connection
stays open. All of it runs in the event loop of the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange

from router.contract.event import Event
from router.contract.outcomes import Outcome
from router.transports.amqp.binding import to_amqp
from router.transports.amqp.connection import CLOSING_SECONDS, call, close, connect
from router.transports.amqp.failures import outcomes_of, unsent_for
from router.transports.amqp.target import MAX_NAME_LENGTH, AmqpTarget
from router.transports.publisher import Unsent
from router.transports.target import filled

MAX_BATCH = 100


@dataclass(frozen=True, kw_only=True)
class Routed:
    """A message and its routing key."""

    routing_key: str
    message: aio_pika.Message


class Publisher:
    """A connection to one exchange."""

    def __init__(self, target: AmqpTarget) -> None:
        self._target = target
        self._connection: AbstractConnection | None = None
        self._connecting = asyncio.Lock()

    def message(self, event: Event) -> Routed:
        routing_key = filled(self._target.routing_key, event)
        if len(routing_key.encode()) > MAX_NAME_LENGTH:
            raise ValueError(
                f"the routing key would have more than {MAX_NAME_LENGTH} bytes; make "
                "the target's `routing_key` shorter."
            )
        return Routed(
            routing_key=routing_key, message=to_amqp(event, self._target.mode)
        )

    def take(self, messages: Sequence[Routed]) -> int:
        """No id twice: the client knows a message that is returned by its id."""
        ids = [each.message.message_id for each in messages[:MAX_BATCH]]
        return next(
            (place for place, name in enumerate(ids) if name in ids[:place]), len(ids)
        )

    def publish(
        self, messages: Sequence[Routed], *, deadline_seconds: float
    ) -> Sequence[Outcome]:
        return call(self._publish_all(messages, deadline_seconds))

    def close(self) -> None:
        close(self._connection)

    async def _publish_all(
        self, messages: Sequence[Routed], deadline_seconds: float
    ) -> list[Outcome]:
        clock = asyncio.get_running_loop().time
        ends_at = clock() + deadline_seconds
        try:
            async with asyncio.timeout_at(ends_at):
                channel, exchange = await self._opened()
        except Exception as error:
            raise Unsent(unsent_for(error, deadline_seconds)) from error
        left = max(0.0, ends_at - clock())
        sending = [
            exchange.publish(
                each.message, each.routing_key, mandatory=True, timeout=left
            )
            for each in messages
        ]
        results = await asyncio.gather(*sending, return_exceptions=True)
        with suppress(Exception):
            async with asyncio.timeout(CLOSING_SECONDS):
                await channel.close()
        return outcomes_of(results, deadline_seconds)

    async def _opened(self) -> tuple[AbstractChannel, AbstractExchange]:
        """A channel of its own, and the exchange, which has to be there: RabbitMQ would
        close the channel under the messages."""
        connection = await self._connected()
        channel = await connection.channel(on_return_raises=True)
        if not self._target.exchange:
            return channel, channel.default_exchange
        return channel, await channel.get_exchange(self._target.exchange, ensure=True)

    async def _connected(self) -> AbstractConnection:
        async with self._connecting:
            if self._connection is None or self._connection.is_closed:
                self._connection = await connect(self._target.url)
            return self._connection
