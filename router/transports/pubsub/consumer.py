"""Pulls messages from a subscription of Pub/Sub, acknowledged when recorded."""

from __future__ import annotations

from collections.abc import Sequence

from google.api_core.exceptions import DeadlineExceeded
from google.pubsub_v1.types import ReceivedMessage

from router.transports.consumer import CALL_SECONDS, Incoming
from router.transports.pubsub.binding import from_pubsub
from router.transports.pubsub.client import open_subscriber
from router.transports.pubsub.target import PubsubFeed

#: An answer that comes too late is lost: its messages come again when their time to be
#: acknowledged is over. So none is waited for more briefly.
MIN_PULL_SECONDS = 2.0


class Consumer:
    """A client of one subscription."""

    def __init__(self, feed: PubsubFeed) -> None:
        self._subscription = feed.subscription
        self._client = open_subscriber(feed)

    def receive(self, *, limit: int, wait_seconds: float) -> Sequence[Incoming]:
        try:
            response = self._client.pull(
                subscription=self._subscription,
                max_messages=limit,
                retry=None,
                timeout=max(wait_seconds, MIN_PULL_SECONDS),
            )
        except DeadlineExceeded:
            return []
        return [self._incoming(each) for each in response.received_messages]

    def acknowledge(self, incoming: Sequence[Incoming]) -> None:
        self._client.acknowledge(
            subscription=self._subscription,
            ack_ids=[each.handle for each in incoming],
            retry=None,
            timeout=CALL_SECONDS,
        )

    def waiting(self) -> int | None:
        """Google tells it in its monitoring alone."""
        return None

    def close(self) -> None:
        self._client.transport.close()

    def _incoming(self, received: ReceivedMessage) -> Incoming:
        return Incoming(
            message=from_pubsub(received.message),
            id=received.message.message_id,
            name=self._subscription.rpartition("/")[2],
            handle=received.ack_id,
        )
