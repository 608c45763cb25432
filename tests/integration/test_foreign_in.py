"""The contract of every foreign router that a bridge takes from."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from router.contract.errors import InvalidEvent, NotOpen
from router.flow.bridge.intake import take_in
from router.flow.bridge.loop import BridgeLoop
from router.models import (
    AuditEntry,
    Delivery,
    EventRecord,
    Heartbeat,
    IngressFailedTask,
    Subscriber,
)
from router.operate.ingress import discard_ingress, proposed_event, publish_ingress
from router.public import publish
from router.testing import deliver_due, isolated_subscribers
from router.transports import connections
from router.transports.kinds import Bridge, find_bridge, open_consumer
from router.transports.webhook import event_loop
from tests.servers.foreign import ForeignRouter, Received
from tests.servers.waiting import wait_until

SECONDS = 120
#: Some batches of the bridge, and more than a router gives before it is answered.
COUNT = 250


@pytest.fixture
def router(transactional_db: None, settings: Any) -> Iterator[None]:
    settings.ROUTER = {"HEARTBEAT_SECONDS": 0.1, "WEBHOOK_DEADLINE_SECONDS": 5}
    with isolated_subscribers():
        yield
    connections.close_all()
    event_loop.close()


def bridge_from(feed: dict[str, Any], **fields: Any) -> Bridge:
    return find_bridge("legacy", {"legacy": {**feed, **fields}})


@contextmanager
def running(bridge: Bridge) -> Iterator[None]:
    """The bridge serves in a thread of its own, as it does in a process."""
    stop = threading.Event()

    def serve() -> None:
        BridgeLoop(bridge).run(stop)
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(SECONDS)
        assert not thread.is_alive()


def cloudevent(n: int, **attributes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"e{n}",
        "source": "/legacy",
        "type": "order.placed",
        **attributes,
    }


def structured(n: int, **attributes: Any) -> Received:
    event = {**cloudevent(n, **attributes), "data": {"n": n}}
    return Received(
        body=json.dumps(event).encode(), content_type="application/cloudevents+json"
    )


def binary(n: int, **attributes: Any) -> Received:
    return Received(
        body=b'{"n": %d}' % n,
        content_type="application/json",
        attributes=cloudevent(n, **attributes),
    )


def recorded() -> int:
    return EventRecord.objects.filter(type="order.placed").count()


def test_many_events_of_both_modes_are_recorded_once_each(
    bridged: ForeignRouter, router: None
) -> None:
    feed = bridged.make_feed()
    bridged.send(feed, [(structured, binary)[n % 2](n) for n in range(COUNT)])

    with running(bridge_from(feed)):
        wait_until(lambda: _details().get("new") == COUNT, SECONDS)
        # Not every router tells.
        wait_until(lambda: not _details()["waiting"], SECONDS)
        details = _details()

    wait_until(lambda: bridged.left(feed) == 0, SECONDS)
    assert recorded() == COUNT
    first = EventRecord.objects.order_by("number").first()
    assert first is not None
    assert (first.event_id, first.source, first.data) == ("e0", "/legacy", {"n": 0})
    assert (details["failed"], details["per_minute"]) == (0, COUNT)
    assert not Heartbeat.objects.exists()


def other(n: int) -> Received:
    """No CloudEvent; where the router gives no id of its own, it has this one."""
    return Received(
        body=b'{"order": %d}' % n, content_type="application/json", id=f"m{n}"
    )


@pytest.mark.long
@pytest.mark.parametrize("message", [structured, other])
def test_what_was_recorded_and_not_acknowledged_comes_again_and_is_known(
    bridged: ForeignRouter, router: None, message: Callable[[int], Received]
) -> None:
    feed = bridged.make_feed()
    bridge = bridge_from(feed, source="/old-shop", type="order.placed")
    bridged.send(feed, [message(n) for n in range(5)])
    consumer = open_consumer(bridge)
    taken: list[Any] = []
    while len(taken) < 5:
        taken += consumer.receive(limit=5, wait_seconds=5)
    assert take_in("legacy", bridge.feed, taken).new == 5
    consumer.close()

    with running(bridge):
        wait_until(lambda: _details().get("known") == 5, SECONDS)

    wait_until(lambda: bridged.left(feed) == 0, SECONDS)
    assert recorded() == 5


@pytest.mark.long
def test_a_router_that_is_killed_loses_nothing(
    bridged: ForeignRouter, router: None
) -> None:
    feed = bridged.make_feed()
    bridged.send(feed, [structured(n) for n in range(50)])

    with running(bridge_from(feed)):
        wait_until(lambda: recorded() == 50, SECONDS)
        bridged.kill()
        try:
            wait_until(lambda: _details().get("is_connected") is False, SECONDS)
            assert _details()["last_error"]
        finally:
            bridged.start()
        bridged.send(feed, [structured(n) for n in range(50, 100)])
        wait_until(lambda: recorded() == 100, SECONDS)


def _details() -> dict[str, Any]:
    beat = Heartbeat.objects.first()
    return beat.details if beat else {}


def test_what_is_no_event_waits_for_a_person_and_holds_up_nothing(
    bridged: ForeignRouter, router: None
) -> None:
    feed = bridged.make_feed()
    broken = Received(body=b"{", content_type="application/cloudevents+json")
    nameless = Received(body=b"no JSON", content_type="image/png")
    bridged.send(feed, [broken, structured(1), nameless, binary(2, specversion="0.3")])
    bridged.send(feed, [structured(3)])

    with running(bridge_from(feed)):
        wait_until(lambda: _details().get("failed") == 3, SECONDS)
        wait_until(lambda: _details().get("new") == 2, SECONDS)

    wait_until(lambda: bridged.left(feed) == 0, SECONDS)
    tasks = list(IngressFailedTask.objects.order_by("pk"))
    assert {bytes(task.body) for task in tasks} == {b"{", b"no JSON", b'{"n": 2}'}
    assert all(task.problem for task in tasks)
    fixed = next(task for task in tasks if bytes(task.body) == b'{"n": 2}')
    proposed = json.loads(proposed_event(fixed))
    with pytest.raises(InvalidEvent):
        publish_ingress(fixed.pk, proposed, by="user a")
    corrected = {**proposed, "specversion": "1.0"}
    publish_ingress(fixed.pk, corrected, by="user a", note="its version")
    others = [task.pk for task in tasks if task.pk != fixed.pk]
    discard_ingress(others[0], by="user a", note="noise")
    with pytest.raises(NotOpen):
        discard_ingress(fixed.pk, by="user a")

    assert EventRecord.objects.get(event_id="e2").data == {"n": 2}
    acts = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert list(acts) == [
        "ingress_failed_task.published",
        "ingress_failed_task.discarded",
    ]


def test_a_message_that_is_no_cloudevent_has_the_source_of_the_bridge_and_its_own_id(
    bridged: ForeignRouter, router: None
) -> None:
    feed = bridged.make_feed()
    bridged.send(feed, [other(7)])

    with running(bridge_from(feed, source="/old-shop", type="order.placed")):
        wait_until(lambda: _details().get("new") == 1, SECONDS)

    event = EventRecord.objects.get()
    assert (event.source, event.data) == ("/old-shop", {"order": 7})


def test_an_event_that_comes_back_is_the_same_and_goes_nowhere_again(
    bridged: ForeignRouter, router: None
) -> None:
    """Two of these routers bridged to each other end no event in a loop."""
    target, feed = bridged.make_pair()
    row = Subscriber(
        name="bus", transport=bridged.kind, events=["*"], is_transactional=False
    )
    row.whole_target = target
    row.save()
    publish("order.placed", {"n": 1}, source="/shop", id="e1", subject="é")
    deliver_due()

    with running(bridge_from(feed)):
        wait_until(lambda: _details().get("known") == 1, SECONDS)
    deliver_due()

    assert EventRecord.objects.count() == 1
    assert list(Delivery.objects.values_list("state", "attempts")) == [
        ("ACKNOWLEDGED", 1)
    ]
    assert not IngressFailedTask.objects.exists()


def test_what_another_router_says_of_itself_is_dropped(
    bridged: ForeignRouter, router: None
) -> None:
    feed = bridged.make_feed()
    bridged.send(feed, [structured(1, type="router.failed_task.opened")])

    with running(bridge_from(feed)):
        wait_until(lambda: _details().get("dropped") == 1, SECONDS)

    assert not EventRecord.objects.exists()
    assert not IngressFailedTask.objects.exists()
