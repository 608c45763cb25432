"""The dispatcher against a real RabbitMQ, with no worker behind it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from amqp.exceptions import ChannelError, PreconditionFailed
from celery import Celery
from kombu import Connection

from router.celery_settings import DEFAULTS
from router.conf import QUEUES
from router.flow.loop import DispatcherLoop, Pauses
from router.messaging.broker import BrokerSilent, Doorbell, Message
from router.models import Delivery, Heartbeat, Subscriber
from router.public import publish
from tests.acceptance.purchases import SIX
from tests.receivers import Declare
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.xdist_group("foreign rabbitmq")
QUEUE = QUEUES["default"]


@pytest.fixture
def rabbitmq_server(foreign_rabbitmq_server: RabbitMQ) -> RabbitMQ:
    """Not the broker of other tests: a node that is killed may lose their queues."""
    return foreign_rabbitmq_server


@pytest.fixture
def doorbell(rabbitmq_server: RabbitMQ) -> Iterator[Doorbell]:
    app = Celery("test", broker=rabbitmq_server.url, set_as_current=False)
    app.add_defaults(lambda: DEFAULTS)
    with Connection(rabbitmq_server.url) as connection, suppress(ChannelError):
        connection.default_channel.queue_purge(QUEUE)
    doorbell = Doorbell(app)
    yield doorbell
    doorbell.close()


@pytest.fixture
def loop(declare: Declare, doorbell: Doorbell) -> DispatcherLoop:
    for name in sorted(SIX):
        declare(name, is_transactional=False)
    # A subscriber that was never measured gets one message at a time.
    Subscriber.objects.update(mean_run_ms=1)
    pauses = Pauses(due_look=0, idle_due_look=0, broker=0)
    return DispatcherLoop(doorbell, pauses=pauses)


def turn(loop: DispatcherLoop, times: int = 3) -> None:
    for _ in range(times):
        loop.tick()


def delete_queue(server: RabbitMQ) -> None:
    with Connection(server.url) as connection:
        connection.default_channel.queue_delete(QUEUE)


def is_reachable() -> bool | None:
    return Heartbeat.objects.get().is_broker_reachable


def test_one_event_puts_one_message_per_subscriber_on_a_quorum_queue(
    loop: DispatcherLoop, rabbitmq_server: RabbitMQ, doorbell: Doorbell
) -> None:
    publish("thing.happened", {})

    turn(loop)

    assert doorbell.waiting_count("default") == len(SIX)
    assert Delivery.objects.filter(dispatched_until__isnull=False).count() == len(SIX)
    with Connection(rabbitmq_server.url) as connection:
        channel = connection.default_channel
        with pytest.raises(PreconditionFailed, match="x-queue-type"):
            channel.queue_declare(QUEUE, durable=True, auto_delete=False)


def test_a_queue_that_is_not_there_is_empty_and_made_by_the_first_message(
    loop: DispatcherLoop, rabbitmq_server: RabbitMQ, doorbell: Doorbell
) -> None:
    delete_queue(rabbitmq_server)
    publish("thing.happened", {})

    assert doorbell.waiting_count("default") == 0
    turn(loop)
    assert doorbell.waiting_count("default") == len(SIX)


def test_a_queue_that_somebody_deleted_is_made_again(
    loop: DispatcherLoop, rabbitmq_server: RabbitMQ, doorbell: Doorbell
) -> None:
    publish("thing.happened", {})
    turn(loop)
    delete_queue(rabbitmq_server)
    publish("thing.happened", {})

    turn(loop)

    assert doorbell.waiting_count("default") == len(SIX)


def test_a_queue_that_was_deleted_in_quiet_hours_is_made_again(
    loop: DispatcherLoop,
    rabbitmq_server: RabbitMQ,
    doorbell: Doorbell,
    settings: Any,
) -> None:
    """Routing does not look into the queue: the heartbeat does."""
    publish("thing.happened", {})
    turn(loop)
    Delivery.objects.update(state="ACKNOWLEDGED", dispatched_until=None)
    settings.ROUTER = {"HEARTBEAT_SECONDS": 0.001, "QUEUE_LIMIT": 100}
    loop = DispatcherLoop(doorbell)
    loop.tick()
    delete_queue(rabbitmq_server)

    loop.tick()
    publish("thing.happened", {})
    loop.tick()

    assert doorbell.waiting_count("default") == len(SIX)


@pytest.mark.long
def test_a_frozen_one_is_noticed_soon_and_used_again_when_it_wakes(
    loop: DispatcherLoop, rabbitmq_server: RabbitMQ, doorbell: Doorbell
) -> None:
    publish("thing.happened", {})
    turn(loop)
    rabbitmq_server.server.send_all(signal.SIGSTOP)
    try:
        publish("thing.happened", {})
        started_at = time.monotonic()
        with pytest.raises(BrokerSilent) as met:
            doorbell.send([Message("default", 1, [1]), Message("default", 1, [2])])
        # The first may have arrived.
        assert met.value.unsent_from == 1
        # Far from the minutes that AMQP itself would wait.
        assert time.monotonic() - started_at < 30
        turn(loop)
        assert is_reachable() is False
    finally:
        rabbitmq_server.server.send_all(signal.SIGCONT)

    Delivery.objects.update(dispatched_until="2020-01-01T00:00:00Z")
    turn(loop)

    assert is_reachable() is True


@pytest.mark.long
def test_what_it_confirmed_survives_its_death_and_what_it_missed_is_sent_again(
    loop: DispatcherLoop, rabbitmq_server: RabbitMQ, doorbell: Doorbell
) -> None:
    publish("thing.happened", {})
    turn(loop)
    wait_until(lambda: rabbitmq_server.knows_queue(QUEUE))
    rabbitmq_server.kill()
    publish("thing.happened", {})
    turn(loop)
    assert is_reachable() is False
    unmarked = Delivery.objects.filter(dispatched_until__isnull=True)
    assert unmarked.count() == len(SIX)

    rabbitmq_server.start()

    wait_until(lambda: doorbell.waiting_count("default") == len(SIX))
    with Connection(rabbitmq_server.url) as connection:
        connection.default_channel.queue_purge(QUEUE)
    Delivery.objects.update(dispatched_until=None)
    turn(loop)
    assert doorbell.waiting_count("default") == len(SIX)
    assert is_reachable() is True
