"""The dispatcher against a real broker, with no worker behind it."""

from __future__ import annotations

import base64
import json
import math
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from signal import SIGCONT, SIGSTOP
from typing import Any

import pytest
import redis
from django.db import connection
from django.utils import timezone

from router.conf import QUEUES, conf
from router.flow.loop import DispatcherLoop, Pauses
from router.flow.route.routing import route_batch
from router.messaging.broker import (
    Doorbell,
    Message,
)
from router.models import Delivery, DeliveryState, Heartbeat, Subscriber, Turn
from router.public import publish
from router.registry import declared
from router.testing import register_declared
from tests.acceptance.purchases import SIX, purchase
from tests.integration.steps import doorbell_to
from tests.receivers import Declare
from tests.servers.valkey import Valkey
from tests.servers.waiting import free_port, wait_until

QUEUE = QUEUES["default"]
#: What only these two looks ask: whether anything is due, and whether it is unrouted.
DUE_LOOK = '"probe_at" <='
UNROUTED_LOOK = '"position" IS NULL) LIMIT 1'
NO_PAUSES = Pauses(due_look=0, idle_due_look=0, broker=0)
NO_LOOKS = Pauses(due_look=math.inf, idle_due_look=math.inf, broker=0)


@pytest.fixture
def doorbell(broker_url: str) -> Iterator[Doorbell]:
    doorbell = doorbell_to(broker_url)
    yield doorbell
    doorbell.close()


@pytest.fixture
def loop(transactional_db: None, doorbell: Doorbell) -> DispatcherLoop:
    """A dispatcher that looks at what is due in every turn."""
    return DispatcherLoop(doorbell, pauses=NO_PAUSES)


@pytest.fixture
def routing_loop(transactional_db: None, doorbell: Doorbell) -> DispatcherLoop:
    """A dispatcher that looks at what is due in its first turn only."""
    return DispatcherLoop(doorbell, pauses=NO_LOOKS)


def messages(url: str) -> list[str]:
    with redis.Redis.from_url(url) as client:
        return [message.decode() for message in client.lrange(QUEUE, 0, -1)]


def turn(loop: DispatcherLoop, times: int = 5) -> None:
    for _ in range(times):
        loop.tick()


def test_one_purchase_puts_one_message_per_subscriber_on_the_broker(
    loop: DispatcherLoop, broker_url: str, settings: Any
) -> None:
    settings.SLACK_WEBHOOK_URL = "http://127.0.0.1:9/unused"
    register_declared()
    event = purchase("order-1")
    assert {each.name for each in declared()} == SIX
    publish("purchase.completed", event["data"], source="/shop", subject="order-1")

    turn(loop)

    sent = messages(broker_url)
    assert len(sent) == 6
    by_row = Delivery.objects.filter(dispatched_until__isnull=False).count()
    in_stream = Turn.objects.filter(marked_until__isnull=False).count()
    # Receipts and alerts have their effects elsewhere.
    assert (by_row, in_stream) == (2, 4)
    bodies = [
        base64.b64decode(json.loads(message)["body"]).decode() for message in sent
    ]
    personal = event["data"]["customer"].values()
    assert not [body for body in bodies for text in personal if text in body]
    # A message for a subscriber in the stream names no event: its cursor is served.
    ids = sorted(len(json.loads(body)[0][1]) for body in bodies)
    assert ids == [0] * 4 + [1] * 2
    tasks = [json.loads(message)["headers"] for message in sent]
    assert {(each["task"], each["eta"]) for each in tasks} == {("router.deliver", None)}


@pytest.fixture
def listener(declare: Declare) -> None:
    declare(is_transactional=False)
    Subscriber.objects.update(mean_run_ms=25)


@pytest.mark.usefixtures("listener")
def test_a_backlog_waits_in_the_database_and_not_in_the_broker(
    loop: DispatcherLoop, broker_url: str
) -> None:
    for _ in range(200):
        publish("thing.happened", {})

    turn(loop, 30)

    assert len(messages(broker_url)) == conf().queue_limit
    waiting = Delivery.objects.filter(dispatched_until__isnull=True).count()
    assert waiting == 200 - conf().queue_limit * 10


@pytest.mark.usefixtures("listener")
def test_what_is_new_is_sent_in_the_turn_that_routes_it(
    declare: Declare, routing_loop: DispatcherLoop, broker_url: str
) -> None:
    declare("in_stream")
    routing_loop.tick()
    publish("thing.happened", {})

    routing_loop.tick()

    assert len(messages(broker_url)) == 2


def test_what_is_due_is_not_looked_for_while_the_new_is_on_its_way(
    declare: Declare, routing_loop: DispatcherLoop, broker_url: str
) -> None:
    declare()
    late = declare("late", events=["other.happened"], is_transactional=False).row
    routing_loop.tick()
    publish("other.happened", {})
    route_batch()
    publish("thing.happened", {})

    routing_loop.tick()

    assert len(messages(broker_url)) == 1
    assert Delivery.objects.get(subscriber=late).dispatch_count == 0


@pytest.mark.usefixtures("listener")
def test_what_is_on_its_way_is_sent_again_when_the_broker_lost_it(
    loop: DispatcherLoop, broker_url: str
) -> None:
    publish("thing.happened", {})
    turn(loop)
    with redis.Redis.from_url(broker_url) as client:
        client.flushall()
    turn(loop)
    assert messages(broker_url) == []

    Delivery.objects.update(dispatched_until="2020-01-01T00:00:00Z")
    turn(loop)

    assert len(messages(broker_url)) == 1


@pytest.mark.usefixtures("listener")
def test_without_a_broker_nothing_is_marked_and_all_of_it_waits() -> None:
    nowhere = doorbell_to(f"redis://127.0.0.1:{free_port()}/0")
    loop = DispatcherLoop(nowhere, pauses=NO_PAUSES)
    publish("thing.happened", {})

    turn(loop)

    state = Delivery.objects.values_list("state", "dispatched_until", "dispatch_count")
    assert list(state) == [(DeliveryState.PENDING, None, 0)]
    assert Heartbeat.objects.get().is_broker_reachable is False


@pytest.mark.usefixtures("listener")
def test_a_broker_that_falls_silent_is_away_until_it_answers(
    valkey_server: Valkey, loop: DispatcherLoop
) -> None:
    turn(loop)
    os.kill(valkey_server.server.pid, SIGSTOP)
    try:
        publish("thing.happened", {})
        turn(loop)
        Subscriber.objects.update(state="paused")
        publish("thing.happened", {})
        loop.tick()
        assert Heartbeat.objects.get().is_broker_reachable is False
        second = Delivery.objects.latest("pk")
        assert (second.dispatched_until, second.dispatch_count) == (None, 0)
    finally:
        os.kill(valkey_server.server.pid, SIGCONT)

    Subscriber.objects.update(state="active")
    turn(loop)

    assert Heartbeat.objects.get().is_broker_reachable is True
    assert Delivery.objects.latest("pk").dispatch_count == 1


@pytest.mark.usefixtures("listener")
def test_nothing_goes_straight_into_a_queue_that_is_full(
    doorbell: Doorbell, broker_url: str
) -> None:
    limit = conf().queue_limit
    doorbell.send([Message("default", 1, [pk]) for pk in range(limit)])
    loop = DispatcherLoop(doorbell, pauses=NO_PAUSES)
    loop.tick()
    publish("thing.happened", {})

    turn(loop)

    assert len(messages(broker_url)) == limit
    assert Delivery.objects.get().dispatch_count == 0

    with redis.Redis.from_url(broker_url) as client:
        client.delete(QUEUE)
    turn(loop)

    assert Delivery.objects.get().dispatch_count == 1


@pytest.mark.usefixtures("listener")
def test_what_it_sent_itself_fills_the_queue_too(
    routing_loop: DispatcherLoop, broker_url: str
) -> None:
    routing_loop.tick()
    for _ in range(conf().queue_limit + 1):
        publish("thing.happened", {})
        routing_loop.tick()
        Delivery.objects.update(state="ACKNOWLEDGED")

    assert len(messages(broker_url)) == conf().queue_limit
    assert Delivery.objects.latest("pk").dispatch_count == 0


def test_it_looks_more_often_while_events_come(
    loop: DispatcherLoop, listener: None
) -> None:
    idle = loop.poll_seconds()
    publish("thing.happened", {})
    loop.tick()

    assert loop.poll_seconds() < idle
    wait_until(lambda: loop.poll_seconds() == idle)


def due_looks(loop: DispatcherLoop) -> int:
    """How often it looks at what is due in half a second of turns."""
    seen: list[bool] = []

    def note(execute: Any, sql: str, *arguments: Any) -> Any:
        seen.append(DUE_LOOK in sql)
        return execute(sql, *arguments)

    ends_at = time.monotonic() + 0.5
    with connection.execute_wrapper(note):
        while time.monotonic() < ends_at:
            loop.tick()
    return sum(seen)


@pytest.mark.usefixtures("listener")
def test_it_looks_at_what_is_due_less_often_without_work(doorbell: Doorbell) -> None:
    loop = DispatcherLoop(doorbell)
    idle = due_looks(loop)
    publish("thing.happened", {})
    at_work = due_looks(loop)
    assert idle <= 1 + 0.5 / (Pauses().idle_due_look * 0.8)
    assert at_work > idle


def test_a_long_look_is_followed_by_a_pause_as_long(
    loop: DispatcherLoop,
) -> None:
    """Dead index entries, which an old transaction keeps, must not cost a core."""

    def look_long(execute: Any, sql: str, *arguments: Any) -> Any:
        if UNROUTED_LOOK in sql:
            time.sleep(0.1)
        return execute(sql, *arguments)

    with connection.execute_wrapper(look_long):
        loop.tick()
        once = loop.poll_seconds()
        loop.tick()

    assert once < 0.1 <= loop.poll_seconds()


@pytest.mark.usefixtures("transactional_db")
def test_signs_of_life_of_killed_processes_do_not_pile_up(
    loop: DispatcherLoop,
) -> None:
    for number, age in enumerate([timedelta(days=2), timedelta(hours=1)]):
        kind = Heartbeat.Kind.WORKER
        at = timezone.now() - age
        Heartbeat.objects.create(name=f"killed-{number}", kind=kind, beat_at=at)

    loop.tick()

    killed = Heartbeat.objects.filter(kind=Heartbeat.Kind.WORKER)
    assert [heartbeat.name for heartbeat in killed] == ["killed-1"]


@pytest.mark.usefixtures("listener")
def test_it_goes_on_when_the_broker_is_back(
    valkey_server: Valkey, loop: DispatcherLoop
) -> None:
    turn(loop)
    valkey_server.server.stop()
    publish("thing.happened", {})
    turn(loop)
    assert Heartbeat.objects.get().is_broker_reachable is False

    valkey_server.start()
    turn(loop)

    assert len(messages(valkey_server.url)) == 1
    assert Heartbeat.objects.get().is_broker_reachable is True
