"""A worker takes messages again after an acknowledgement that the broker missed."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from typing import Any

import pytest
from celery import Celery
from kombu import Connection, Consumer, Queue
from kombu.transport import redis
from kombu.utils.imports import symbol_by_name

from router.celery_settings import DEFAULTS
from router.messaging.redis_qos import ForgettingQoS, tolerate
from tests.servers.valkey import Valkey

QUEUE = Queue("acks", routing_key="acks")
PATIENCE_SECONDS = 3


def send(url: str, body: str) -> None:
    with Connection(url) as connection:
        connection.Producer().publish(
            body, routing_key="acks", declare=[QUEUE], retry=False
        )


def drain(connection: Any, taken: list[Any], count: int) -> bool:
    """Whether so many messages came in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(taken) < count and time.monotonic() < deadline:
        # A connection that the kill cut is opened anew, as the worker does.
        with contextlib.suppress(TimeoutError, *connection.connection_errors):
            connection.drain_events(timeout=0.2)
    return len(taken) >= count


def take_and_acknowledge(url: str, *, count: int) -> None:
    taken: list[Any] = []
    with Connection(url) as connection:
        tolerate(connection)
        channel = connection.channel()
        with Consumer(channel, [QUEUE], on_message=taken.append, auto_declare=False):
            assert drain(connection, taken, count)
            for message in taken:
                message.ack()


def takes_another_after_a_missed_ack(valkey: Valkey, qos: type[redis.QoS]) -> bool:
    channels = type("Channel", (redis.Channel,), {"QoS": qos})
    transport = type("Transport", (redis.Transport,), {"Channel": channels})
    taken: list[Any] = []
    send(valkey.url, "first")
    with Connection(valkey.url, transport=transport) as connection:
        consumer = Consumer(
            connection.channel(),
            [QUEUE],
            prefetch_count=1,
            on_message=taken.append,
            auto_declare=False,
        )
        with consumer:
            assert drain(connection, taken, 1)
            valkey.server.kill()
            with pytest.raises(connection.connection_errors):
                taken[0].ack()
            valkey.start()
            send(valkey.url, "second")
            return drain(connection, taken, 2)


def test_a_missed_ack_does_not_count_against_the_prefetch_limit(
    valkey_server: Valkey, broker_url: str
) -> None:
    assert takes_another_after_a_missed_ack(valkey_server, ForgettingQoS)


def test_kombu_still_needs_the_cure(valkey_server: Valkey, broker_url: str) -> None:
    """When this fails, `router.messaging.redis_qos` can go."""
    assert not takes_another_after_a_missed_ack(valkey_server, redis.QoS)


def test_all_messages_of_a_channel_share_one_client(
    broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    pipeline = redis.redis.Redis.pipeline
    monkeypatch.setattr(
        redis.redis.Redis,
        "pipeline",
        lambda client, **options: [made.append(client), pipeline(client, **options)][1],
    )
    for body in ("first", "second"):
        send(broker_url, body)
    take_and_acknowledge(broker_url, count=2)

    # One pipeline to take each message, one to acknowledge it.
    (_, times), *_ = Counter(id(client) for client in made).most_common()
    assert times == 4


def test_a_message_takes_no_transaction_of_the_broker(broker_url: str) -> None:
    send(broker_url, "first")
    with redis.redis.Redis.from_url(broker_url) as client:
        client.config_resetstat()
        take_and_acknowledge(broker_url, count=1)
        asked = client.info("commandstats")
        left = client.keys("unacked*")

    assert [asked[f"cmdstat_{name}"]["calls"] for name in ("zadd", "zrem")] == [1, 1]
    assert "cmdstat_multi" not in asked
    assert not left


def test_a_worker_has_it_by_its_settings_and_no_other_app_of_the_process(
    broker_url: str,
) -> None:
    app = Celery(broker=broker_url, set_as_current=False)
    app.add_defaults(lambda: DEFAULTS)
    worker: Any = object.__new__(symbol_by_name(app.conf.worker_consumer))
    worker.app = app
    other = Celery(broker=broker_url, set_as_current=False)

    with worker.connection_for_read() as ours, other.connection_for_read() as theirs:
        assert isinstance(ours.channel().qos, ForgettingQoS)
        assert not isinstance(theirs.channel().qos, ForgettingQoS)
