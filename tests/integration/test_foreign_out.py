"""The contract of every foreign router that events are published to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from router.contract import binding
from router.contract.cloudevents import publish_arguments
from router.flow.breaker.held import held_because
from router.flow.deliver.delivering import deliver_chunk
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.publish.publishing import publish_batch
from router.models import (
    ApiKey,
    Attempt,
    AuditEntry,
    Delivery,
    DeliveryState,
    FailedTask,
    Scope,
    Subscriber,
)
from router.observe.last_failure import last_failure
from router.public import publish
from router.testing import deliver_due, isolated_subscribers, route, skip_waits
from router.transports import connections
from router.transports.webhook import event_loop
from tests.integration.api import send
from tests.integration.staff import messages_of
from tests.servers.foreign import ForeignRouter, Received
from tests.servers.waiting import wait_until

TYPE = "thing.happened"
DEADLINE_SECONDS = 5
#: Several chunks.
COUNT = 300


@pytest.fixture
def router(transactional_db: None, settings: Any) -> Iterator[None]:
    """No subscriber but those of the test, and a short deadline of each batch."""
    settings.ROUTER = {"WEBHOOK_DEADLINE_SECONDS": DEADLINE_SECONDS}
    with isolated_subscribers():
        yield
    connections.close_all()
    event_loop.close()


def subscribe(
    foreign: ForeignRouter, target: dict[str, Any], **fields: Any
) -> Subscriber:
    row = Subscriber(
        name=foreign.kind,
        transport=foreign.kind,
        queue="webhooks",
        is_transactional=False,
        **{"events": [TYPE], **fields},
    )
    row.whole_target = target
    row.save()
    return row


def happen(count: int, **attributes: Any) -> None:
    entries = [
        {
            "type": TYPE,
            "source": "/test",
            "id": f"e{n}",
            "data": {"n": n},
            "partitionkey": f"k{n % 7}",
            **attributes,
        }
        for n in range(count)
    ]
    for start in range(0, count, 100):
        publish_batch(entries[start : start + 100])


def read_event(message: Received) -> dict[str, Any]:
    """The arguments of `publish` that the message says."""
    whole = binding.Message(
        body=message.body,
        content_type=message.content_type,
        attributes=message.attributes,
    )
    return publish_arguments(binding.read(whole))


def ids(messages: Any) -> list[str]:
    return [read_event(message)["id"] for message in messages]


def ids_by_key(messages: Any) -> dict[str, list[str]]:
    """In the order in which they were read; not every router has one among keys."""
    read: dict[str, list[str]] = {}
    for event in map(read_event, messages):
        read.setdefault(event["partitionkey"], []).append(event["id"])
    return read


def states() -> Counter[str]:
    return Counter(Delivery.objects.values_list("state", flat=True))


def drain() -> None:
    """Deliver until nothing is owed; the target may need a moment."""

    def is_drained() -> bool:
        skip_waits()
        deliver_due()
        return states().keys() == {DeliveryState.ACKNOWLEDGED}

    wait_until(is_drained, 60)


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_many_events_arrive_once_each_in_the_order_of_their_key(
    foreign: ForeignRouter, router: None, settings: Any, mode: str
) -> None:
    if mode not in foreign.modes:
        return
    # On a busy machine a whole batch takes longer; nothing is late here.
    settings.ROUTER = {"WEBHOOK_DEADLINE_SECONDS": 60}
    # A second mode differs in how an event is written, not in how it is sent.
    count = 250 if mode == foreign.modes[0] else 30
    target = {**foreign.make(), "mode": mode}
    subscribe(foreign, target)
    happen(count)

    assert deliver_due() == count

    assert states() == {DeliveryState.ACKNOWLEDGED: count}
    received = foreign.read_all(target)
    assert len(received) == count
    assert ids_by_key(received) == {
        f"k{key}": [f"e{n}" for n in range(key, count, 7)] for key in range(7)
    }
    [message] = [each for each in received if read_event(each)["id"] == "e7"]
    event = read_event(message)
    assert (event["source"], event["type"]) == ("/test", TYPE)
    assert b'"n":7' in message.body
    is_structured = message.content_type.startswith("application/cloudevents+json")
    assert is_structured is (mode == "structured")


@pytest.mark.long
def test_what_a_killed_target_had_confirmed_stays_and_the_rest_follows(
    foreign: ForeignRouter, router: None
) -> None:
    target = foreign.make()
    row = subscribe(foreign, target)
    happen(150)
    deliver_due()

    foreign.kill()
    try:
        happen(150, source="/later")
        deliver_due()
        row.refresh_from_db()
        assert row.breaker == "open"
        # As many as open the breaker of a receiver that was well a moment ago; the
        # others were given back untried.
        assert Attempt.objects.exclude(error="").count() <= 20
        assert states()[DeliveryState.PENDING] == 150
    finally:
        foreign.start()
    drain()

    expected = {(source, f"e{n}") for source in ("/test", "/later") for n in range(150)}
    events = [read_event(message) for message in foreign.read_all(target)]
    assert {(each["source"], each["id"]) for each in events} == expected
    assert not FailedTask.objects.exists()


@pytest.mark.long
def test_a_frozen_target_costs_one_deadline_and_loses_nothing(
    foreign: ForeignRouter, router: None
) -> None:
    target = foreign.make()
    subscribe(foreign, target)
    happen(20)

    foreign.freeze()
    try:
        deliver_due()
        assert states() == {DeliveryState.PENDING: 20}
        assert last_failure(Subscriber.objects.get()).startswith("TimedOut")
    finally:
        foreign.thaw()
    drain()

    assert set(ids(foreign.read_all(target))) == {f"e{n}" for n in range(20)}


def deliver_one_chunk() -> int:
    """Returns how many events travelled."""
    (row,) = subscribers_due()
    chunk = mark_chunk(row)
    assert chunk is not None
    deliver_chunk(row.pk, chunk.ids)
    return len(chunk.ids)


@pytest.mark.long
def test_the_order_of_a_key_outlives_a_target_that_is_killed_and_frozen(
    foreign: ForeignRouter, router: None
) -> None:
    target = foreign.make()
    subscribe(foreign, target, ordering="key")
    happen(COUNT)
    route()

    # Chunks of several events of each key.
    assert deliver_one_chunk() == 100
    foreign.kill()
    try:
        deliver_due()
    finally:
        foreign.start()
    wait_until(lambda: acknowledged_after_a_chunk() > 100, 60)
    foreign.freeze()
    try:
        deliver_due()
    finally:
        foreign.thaw()
    drain()

    # What was sent again after a lost answer comes twice, in its place.
    in_order = {
        key: list(dict.fromkeys(ids))
        for key, ids in ids_by_key(foreign.read_all(target)).items()
    }
    assert in_order == {
        f"k{key}": [f"e{n}" for n in range(key, COUNT, 7)] for key in range(7)
    }
    assert not FailedTask.objects.exists()


def acknowledged_after_a_chunk() -> int:
    skip_waits()
    deliver_one_chunk()
    return states()[DeliveryState.ACKNOWLEDGED]


@pytest.mark.parametrize("wrong", ["missing", "denied"])
def test_a_target_that_refuses_everything_is_held_with_a_hint(
    foreign: ForeignRouter, router: None, wrong: str
) -> None:
    target = getattr(foreign, wrong)()
    if target is None:
        return
    row = subscribe(foreign, target)
    happen(20)

    deliver_due()

    row.refresh_from_db()
    assert held_because(row)
    hint = last_failure(row)
    assert hint.startswith(("NotFound: ", "AccessRefused: ")), hint
    assert states() == {DeliveryState.PENDING: 20}
    assert not FailedTask.objects.exists()


def test_an_event_that_can_never_be_taken_fails_at_once_and_its_neighbours_arrive(
    foreign: ForeignRouter, router: None
) -> None:
    target, poison = foreign.refusing()
    subscribe(foreign, target)
    happen(3)
    publish(TYPE, {"n": 3}, source="/test", id="poison", **poison)
    happen(3, source="/later")

    deliver_due()

    assert len(foreign.read_all(target)) == 6
    assert FailedTask.objects.get().event.event_id == "poison"


def test_a_target_is_tried_before_it_is_saved(
    foreign: ForeignRouter, router: None, admin_client: Client
) -> None:
    target, missing = foreign.make(), foreign.missing()
    page = reverse("admin:router_subscriber_add")
    body = {"name": "bus", "transport": foreign.kind, "events": "*", "try_target": "1"}
    _, key = ApiKey.make("k", scopes=[Scope.MANAGE, Scope.TARGETS])

    tried, refused = (
        admin_client.post(
            page, {**body, **{f"{foreign.kind}-{name}": each[name] for name in each}}
        )
        for each in (target, missing)
    )
    called, denied = (
        send(Client(), "POST", "targets/test/", asked, key=key).json()
        for asked in (
            {"transport": foreign.kind, "target": each} for each in (target, missing)
        )
    )

    assert "has confirmed a test event" in messages_of(tried)
    assert "did not confirm a test event" in messages_of(refused)
    assert called == {"is_confirmed": True, "error": None}
    assert denied["error"].startswith("NotFound: ")
    received = list(map(read_event, foreign.read_all(target)))
    assert [event["type"] for event in received] == ["router.test", "router.test"]
    assert not Subscriber.objects.exists()
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {"target.tried"}


def test_a_secret_of_the_target_is_kept_nowhere_in_the_open(
    foreign: ForeignRouter, router: None
) -> None:
    target = foreign.denied()
    if target is None:
        return
    subscribe(foreign, target)
    happen(6)

    deliver_due()

    rows = [*Subscriber.objects.values(), *Attempt.objects.values()]
    assert "wrong-password" not in str(rows)
