"""What a producer and a consumer share: settings, and how they find the topic."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from router.contract.outcomes import Retry
from router.transports.kafka.failures import REFUSALS, retry_for
from router.transports.kafka.target import KafkaCluster

LOOK_SECONDS = 0.5
COMMON: dict[str, Any] = {
    "client.id": "fanfare",
    # What it logs as an error has an outcome here.
    "log_level": 0,
    "logger": logging.getLogger("confluent_kafka"),
    "socket.keepalive.enable": True,
}


class Troubles:
    """The errors that librdkafka meets with brokers, while the caller only waits.

    It has no reference to its client: one that nobody uses ends at once.
    """

    def __init__(self) -> None:
        self._last: KafkaError | None = None
        self._refusal: KafkaError | None = None
        self._are_all_down = False

    def note(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._are_all_down = True
        elif error.code() in REFUSALS:
            self._refusal = error
        else:
            self._last = error

    @property
    def reason(self) -> KafkaError | None:
        """Why no broker will answer; None while one may."""
        down = KafkaError(KafkaError._ALL_BROKERS_DOWN)
        return self._refusal or (self._are_all_down and (self._last or down)) or None


@contextmanager
def in_plain_words(seconds: float) -> Iterator[None]:
    """Raises `ConnectionError`, with what to do, where librdkafka raises its own."""
    try:
        yield
    except KafkaException as error:
        words = retry_for(error.args[0], seconds).evidence.error
        raise ConnectionError(words) from error


def settings(cluster: KafkaCluster, troubles: Troubles) -> dict[str, Any]:
    return {**COMMON, **cluster.client_settings(), "error_cb": troubles.note}


def no_way(
    client: Producer | Consumer, topic: str, troubles: Troubles, seconds: float
) -> Retry | None:
    """Why this client can't reach the topic; None when a broker knows it.

    Without it, librdkafka would keep records for a topic that is not there.
    """
    ends_at = time.monotonic() + seconds
    while True:
        try:
            metadata = client.list_topics(topic, timeout=min(LOOK_SECONDS, seconds))
        except KafkaException:
            reason = _reason(client, troubles)
            if reason is not None:
                return retry_for(reason, seconds)
            if time.monotonic() > ends_at:
                return retry_for(KafkaError(KafkaError._TIMED_OUT), seconds)
        else:
            error = metadata.topics[topic].error
            return retry_for(error, seconds) if error else None


def _reason(client: Producer | Consumer, troubles: Troubles) -> KafkaError | None:
    try:
        client.poll(0)
    except KafkaException as error:
        return cast(KafkaError, error.args[0])
    return troubles.reason
