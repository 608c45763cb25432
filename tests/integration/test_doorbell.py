"""The dispatcher's connection to a real broker: what leaves by it, and how."""

from __future__ import annotations

import os
from signal import SIGKILL, SIGSTOP
from typing import Any

import pytest
import redis
from kombu.transport.redis import Channel

from router.conf import QUEUES
from router.messaging.broker import (
    BrokerSilent,
    BrokerTrouble,
    BrokerUnreachable,
    Doorbell,
    Message,
)
from tests.integration.steps import celery_at, doorbell_to
from tests.servers.valkey import Valkey

QUEUE = QUEUES["default"]


def waiting(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.llen(QUEUE))


def test_it_keeps_its_connection_whatever_waits_in_the_queue(broker_url: str) -> None:
    doorbell = doorbell_to(broker_url)
    counts = []
    with redis.Redis.from_url(broker_url) as client:

        def connections() -> int:
            return int(client.info("stats")["total_connections_received"])

        for _ in range(3):
            client.delete(QUEUE)
            counts.append((doorbell.waiting_count("default"), connections()))
            doorbell.send([Message("default", 1, [1])])
            counts.append((doorbell.waiting_count("default"), connections()))
    doorbell.close()

    assert [waiting for waiting, _ in counts] == [0, 1] * 3
    assert len({connected for _, connected in counts[1:]}) == 1


def test_messages_of_a_turn_leave_in_two_round_trips(broker_url: str) -> None:
    doorbell = doorbell_to(broker_url)
    reads = []
    with redis.Redis.from_url(broker_url) as client:
        for count in (1, 1, 2, 5):
            before = client.info("stats")["total_reads_processed"]
            doorbell.send([Message("default", 1, [pk]) for pk in range(count)])
            reads.append(client.info("stats")["total_reads_processed"] - before)
    doorbell.close()

    assert waiting(broker_url) == 9
    # The first opens the connection.
    assert reads[2] == reads[3] == reads[1] + 1


def test_all_messages_leave_by_one_client(
    broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    make = Channel._create_client

    def counted(channel: Any, asynchronous: bool = False) -> Any:
        made.append(asynchronous)
        return make(channel, asynchronous)

    monkeypatch.setattr(Channel, "_create_client", counted)
    doorbell = doorbell_to(broker_url)
    for _ in range(2):
        doorbell.send([Message("default", 1, [pk]) for pk in range(3)])
    doorbell.close()

    assert made.count(False) == 1
    assert waiting(broker_url) == 6


@pytest.mark.parametrize(
    ("sent_before", "signal", "kind", "unsent_from"),
    [
        # It may have taken the first, but heard nothing of the others.
        (0, SIGSTOP, BrokerSilent, 1),
        (0, SIGKILL, BrokerUnreachable, 0),
        # It has the first, and may have taken the others.
        (1, SIGSTOP, BrokerSilent, 3),
        (1, SIGKILL, BrokerUnreachable, 1),
    ],
)
def test_it_tells_what_was_surely_not_sent(
    valkey_server: Valkey,
    broker_url: str,
    sent_before: int,
    signal: int,
    kind: type[BrokerTrouble],
    unsent_from: int,
) -> None:
    class Struck(Doorbell):
        def _send(self, producer: Any, message: Message) -> None:
            if message.ids == [sent_before]:
                os.kill(valkey_server.server.pid, signal)
            super()._send(producer, message)

    doorbell = Struck(celery_at(broker_url))
    doorbell.send([Message("default", 1, [99])])
    try:
        with pytest.raises(kind) as met:
            doorbell.send([Message("default", 1, [pk]) for pk in range(3)])
    finally:
        valkey_server.server.kill()
        valkey_server.start()

    assert met.value.unsent_from == unsent_from
