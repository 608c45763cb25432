"""Takes messages from a queue of RabbitMQ, each acknowledged when it is recorded."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

from router.transports.amqp.binding import from_amqp
from router.transports.amqp.connection import call, close, connect
from router.transports.amqp.target import AmqpFeed
from router.transports.consumer import CALL_SECONDS, Incoming

#: Messages that RabbitMQ sends ahead.
PREFETCH = 200


class Consumer:
    """A channel that one queue is consumed by."""

    def __init__(self, feed: AmqpFeed) -> None:
        self._feed = feed
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        #: None: the channel has closed.
        self._arrived: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()

    def receive(self, *, limit: int, wait_seconds: float) -> Sequence[Incoming]:
        if self._channel is None:
            call(self._open(), CALL_SECONDS)
        taken = call(self._take(limit, wait_seconds), CALL_SECONDS + wait_seconds)
        return [self._incoming(message) for message in taken]

    def acknowledge(self, incoming: Sequence[Incoming]) -> None:
        call(self._acknowledge([each.handle for each in incoming]), CALL_SECONDS)

    def waiting(self) -> int | None:
        return call(self._count(), CALL_SECONDS)

    def close(self) -> None:
        close(self._connection)

    async def _open(self) -> None:
        self._connection = await connect(self._feed.url)
        channel = await self._connection.channel(publisher_confirms=False)
        await channel.set_qos(prefetch_count=PREFETCH)
        queue = await channel.get_queue(self._feed.queue, ensure=True)
        channel.close_callbacks.add(lambda *_: self._arrived.put_nowait(None))
        await queue.consume(self._arrived.put)
        self._channel = channel

    async def _take(
        self, limit: int, wait_seconds: float
    ) -> list[AbstractIncomingMessage]:
        taken: list[AbstractIncomingMessage] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                taken.append(self._checked(await self._arrived.get()))
        while taken and len(taken) < limit and not self._arrived.empty():
            taken.append(self._checked(self._arrived.get_nowait()))
        return taken

    @staticmethod
    def _checked(message: AbstractIncomingMessage | None) -> AbstractIncomingMessage:
        if message is None:
            raise ConnectionError("RabbitMQ closed the channel.")
        return message

    @staticmethod
    async def _acknowledge(messages: Sequence[AbstractIncomingMessage]) -> None:
        for message in messages:
            await message.ack()

    async def _count(self) -> int | None:
        if self._channel is None:
            return None
        queue = await self._channel.declare_queue(self._feed.queue, passive=True)
        return queue.declaration_result.message_count

    def _digest(self, message: AbstractIncomingMessage) -> str:
        is_wanted = self._feed.digest_ids
        return hashlib.sha256(message.body).hexdigest() if is_wanted else ""

    def _incoming(self, message: AbstractIncomingMessage) -> Incoming:
        return Incoming(
            message=from_amqp(message),
            id=message.message_id or self._digest(message),
            name=message.type or message.routing_key or "",
            handle=message,
        )
