"""Publishes events to a topic of Google Pub/Sub, each confirmed by a message id.

A request has messages of one ordering key alone; the keys of a batch go side by side.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.types import PubsubMessage

from router.contract.event import Event
from router.contract.outcomes import Acknowledged, Dead, Evidence, Outcome, Retry
from router.transports.publisher import Unsent
from router.transports.pubsub.binding import to_pubsub
from router.transports.pubsub.client import open_publisher
from router.transports.pubsub.failures import (
    CALL_ERRORS,
    is_of_content,
    is_of_key,
    retry_for,
)
from router.transports.pubsub.target import PubsubTarget

MAX_MESSAGES = 1_000
#: Of a request, as Google's own client counts it.
MAX_REQUEST_BYTES = 10_000_000
#: For the name of the topic and what stands around each message.
SPARE_BYTES = 500
MESSAGE_SPARE_BYTES = 10
#: Requests of one batch that are under way at once.
MAX_IN_FLIGHT = 8


@dataclass(frozen=True, kw_only=True)
class Sized:
    """A message, and its share of a request."""

    message: PubsubMessage
    size: int


@dataclass(kw_only=True)
class Batch:
    """The requests of one call of `publish`."""

    client: PublisherClient
    deadline_seconds: float
    ends_at: float
    #: The topic takes nothing now: no further request is begun.
    is_over: bool = False

    def seconds_left(self) -> float:
        return 0.0 if self.is_over else self.ends_at - time.monotonic()


class Publisher:
    """A client for one topic."""

    def __init__(self, target: PubsubTarget) -> None:
        self._target = target
        self._client: PublisherClient | None = None
        self._opening = threading.Lock()

    def message(self, event: Event) -> Sized:
        message = to_pubsub(event, self._target.mode)
        size = PubsubMessage.pb(message).ByteSize() + MESSAGE_SPARE_BYTES
        if size > MAX_REQUEST_BYTES - SPARE_BYTES:
            raise ValueError(
                f"the message would have {size:,} bytes, and Pub/Sub takes "
                f"{MAX_REQUEST_BYTES:,}: publish a link to the data instead."
            )
        return Sized(message=message, size=size)

    def take(self, messages: Sequence[Sized]) -> int:
        size = SPARE_BYTES
        for place, each in enumerate(messages[:MAX_MESSAGES]):
            size += each.size
            if place and size > MAX_REQUEST_BYTES:
                return place
        return min(len(messages), MAX_MESSAGES)

    def publish(
        self, messages: Sequence[Sized], *, deadline_seconds: float
    ) -> Sequence[Outcome | None]:
        ends_at = time.monotonic() + deadline_seconds
        batch = Batch(
            client=self._opened(deadline_seconds),
            deadline_seconds=deadline_seconds,
            ends_at=ends_at,
        )
        places = _places_by_key(messages)
        groups = [[messages[n].message for n in each] for each in places]
        with ThreadPoolExecutor(min(len(groups), MAX_IN_FLIGHT)) as threads:
            results = list(threads.map(partial(self._send, batch), groups))
        outcomes: list[Outcome | None] = [None] * len(messages)
        for group, result in zip(places, results, strict=True):
            for place, outcome in zip(group, result, strict=True):
                outcomes[place] = outcome
        return _known(outcomes)

    def close(self) -> None:
        if self._client is not None:
            self._client.transport.close()

    def _opened(self, deadline_seconds: float) -> PublisherClient:
        """Opened when first needed: the library may ask the machine for credentials.

        Raises `Unsent`.
        """
        with self._opening:
            if self._client is None:
                try:
                    self._client = open_publisher(self._target)
                except CALL_ERRORS as error:
                    raise Unsent(retry_for(error, deadline_seconds)) from error
            return self._client

    def _send(
        self, batch: Batch, messages: Sequence[PubsubMessage]
    ) -> list[Outcome | None]:
        """Send messages of one key; after one that failed none follows."""
        seconds = batch.seconds_left()
        if seconds <= 0:
            return [None] * len(messages)
        try:
            batch.client.publish(
                topic=self._target.topic,
                messages=[*messages],
                retry=None,
                timeout=seconds,
            )
        except CALL_ERRORS as error:
            if is_of_content(error):
                return self._without_refused(batch, messages, error)
            batch.is_over |= not is_of_key(error)
            retry = retry_for(error, batch.deadline_seconds)
            return [retry, *[None] * (len(messages) - 1)]
        return [Acknowledged()] * len(messages)

    def _without_refused(
        self, batch: Batch, messages: Sequence[PubsubMessage], error: Exception
    ) -> list[Outcome | None]:
        """One of the messages is not to be taken, and Pub/Sub does not say which: send
        them in halves."""
        if len(messages) == 1:
            return [Dead(Evidence("InvalidArgument", str(error)))]
        middle = len(messages) // 2
        outcomes = self._send(batch, messages[:middle])
        if any(each is None or isinstance(each, Retry) for each in outcomes):
            return [*outcomes, *[None] * (len(messages) - middle)]
        return [*outcomes, *self._send(batch, messages[middle:])]


def _places_by_key(messages: Sequence[Sized]) -> list[list[int]]:
    places: dict[str, list[int]] = {}
    for place, each in enumerate(messages):
        places.setdefault(each.message.ordering_key, []).append(place)
    return list(places.values())


def _known(outcomes: list[Outcome | None]) -> list[Outcome | None]:
    """Raises `Unsent` when nothing at all was taken or refused."""
    first = next((each for each in outcomes if isinstance(each, Retry)), None)
    if first and all(each is None or isinstance(each, Retry) for each in outcomes):
        raise Unsent(first)
    return outcomes
