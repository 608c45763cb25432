"""A subscriber that pins a version of a schema gets newer events in that version."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from router.flow.publish import registered_schemas
from router.models import (
    Attempt,
    BreakerState,
    FailedTask,
    Run,
    Scope,
    Subscriber,
)
from router.operate.failed_tasks import retry
from router.operate.schemas import register_schema
from router.public import Event, publish, subscriber
from router.testing import deliver_due, isolated_subscribers, register_declared, route
from tests.contract.keyed_router import KeyedRouter
from tests.contract.keyed_router import subscribe as subscribe_bus
from tests.contract.steps import TYPE, Subscribe, a_puller
from tests.integration.api import a_key, send
from tests.servers.receiving import Receiver

#: Version 1 has a name, 2 has its parts, 3 has them as a list.
OLDEST, MIDDLE, NEWEST = VERSIONS = [f"urn:test:thing:{n}" for n in (1, 2, 3)]
MEMBERS = ["name", "first", "names"]
PIN = {TYPE: OLDEST}


def to_middle(data: dict[str, Any]) -> dict[str, Any]:
    first, last = data.pop("names")
    return {**data, "first": first, "last": last}


def to_oldest(data: dict[str, Any]) -> dict[str, Any]:
    return {"n": data["n"], "name": f"{data['first']} {data['last']}"}


def forgets_the_name(data: dict[str, Any]) -> dict[str, Any]:
    return {"n": data["n"]}


def makes_no_json(data: dict[str, Any]) -> object:
    return {"name": {"a set"}}


DOWNGRADES = {
    NEWEST: (MIDDLE, f"{__name__}.to_middle"),
    MIDDLE: (OLDEST, f"{__name__}.to_oldest"),
}


@pytest.fixture
def schemas(transactional_db: None, settings: Any) -> Iterator[Callable[..., None]]:
    """Three versions; `schemas(**downgrades)` replaces the functions."""

    def downgrade(entries: dict[str, tuple[str, str]]) -> None:
        settings.ROUTER = {**settings.ROUTER, "DOWNGRADES": entries}

    downgrade(DOWNGRADES)
    for identity, member in zip(VERSIONS, MEMBERS, strict=True):
        schema = {"$id": identity, "required": [member]}
        register_schema(TYPE, schema, by="command")
    registered_schemas.forget()
    yield downgrade
    registered_schemas.forget()


def publish_newest(n: int = 1, **attributes: Any) -> None:
    publish(TYPE, {"n": n, "names": ["Ada", "Horn"]}, **attributes)


def seen(event: dict[str, Any]) -> tuple[str, Any]:
    return event["dataschema"], event["data"]


AS_PINNED = OLDEST, {"n": 1, "name": "Ada Horn"}


def test_every_transport_and_a_run_get_the_pinned_version(
    subscribe: Subscribe,
    bus: KeyedRouter,
    receiver: Receiver,
    client: Client,
    schemas: None,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.ROUTER = {
        **settings.ROUTER,
        "DOWNGRADES": DOWNGRADES,
        "WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"],
    }
    got: list[Event] = []
    # A filter judges the event as it was published.
    filter = {"exact": {"dataschema": NEWEST}}
    subscribe(receiver.url, dataschemas=PIN, filter=filter)
    a_puller("puller", dataschemas=PIN, filter=filter)
    subscribe_bus(dataschemas=PIN)
    sent: list[Event] = []
    monkeypatch.setattr(bus, "message", lambda event: sent.append(event) or event)

    publish_newest()
    route()
    subscriber("late", events=[TYPE], dataschemas=PIN, start="beginning")(got.append)
    subscriber("plain", events=[TYPE], start="beginning")(got.append)
    register_declared()
    deliver_due()

    (posted,) = receiver.received
    assert seen(json.loads(posted.body)) == AS_PINNED
    body = {"max": 10}
    key = a_key(Scope.CONSUME)
    pulled = send(client, "POST", "subscribers/puller/pull/", body, key=key)
    assert [seen(row["event"]) for row in pulled.json()["deliveries"]] == [AS_PINNED]
    assert seen(sent[0].to_cloudevent()) == AS_PINNED
    assert Run.objects.count() == 2, "both handlers get it by a backfill"
    by_schema = {event.dataschema: event.data for event in got}
    assert by_schema == {
        OLDEST: AS_PINNED[1],
        NEWEST: {"n": 1, "names": ["Ada", "Horn"]},
    }


def test_what_has_the_version_already_or_none_stays_as_it_is(schemas: None) -> None:
    got: list[Event] = []
    with isolated_subscribers():
        subscriber("old", events=[TYPE], dataschemas=PIN)(got.append)
        register_declared()
        old = {"n": 1, "name": "Ada Horn", "more": True}
        publish(TYPE, old, dataschema=OLDEST)
        publish(TYPE, "plain", datacontenttype="text/plain")
        deliver_due()

    assert [(event.dataschema, event.data) for event in got] == [
        (OLDEST, old),
        ("", "plain"),
    ]


@pytest.mark.parametrize(
    ("downgrades", "error"),
    [
        ({NEWEST: DOWNGRADES[NEWEST]}, f"The event has {NEWEST}, this subscriber pins"),
        (
            {NEWEST: (OLDEST, f"{__name__}.to_oldest")},
            f"{__name__}.to_oldest raised KeyError: 'first'",
        ),
        (
            {NEWEST: (OLDEST, f"{__name__}.forgets_the_name")},
            f"The data does not fit {OLDEST}: /data",
        ),
        ({NEWEST: (OLDEST, f"{__name__}.makes_no_json")}, "is not JSON"),
    ],
)
def test_an_event_that_can_not_be_had_in_the_version_is_a_failed_task_at_once(
    schemas: Callable[..., None],
    downgrades: dict[str, tuple[str, str]],
    error: str,
) -> None:
    schemas(downgrades)
    got: list[Event] = []
    with isolated_subscribers():
        subscriber("old", events=[TYPE], dataschemas=PIN)(got.append)
        register_declared()
        publish(TYPE, {"n": 0, "name": "before"}, dataschema=OLDEST)
        publish_newest()
        publish(TYPE, {"n": 2, "name": "after"}, dataschema=OLDEST)
        deliver_due()
        old = Subscriber.objects.get(name="old")

    failed = FailedTask.objects.get()
    assert (failed.reason, failed.is_unsent) == ("REJECTED", True)
    assert error in failed.error
    assert {event.data["n"] for event in got} == {0, 2}
    assert Attempt.objects.count() == 1
    assert old.breaker == BreakerState.CLOSED


def test_a_retry_once_the_downgrade_is_there_delivers_the_event(
    schemas: Callable[..., None],
) -> None:
    schemas({})
    got: list[Event] = []
    with isolated_subscribers():
        subscriber("old", events=[TYPE], dataschemas=PIN)(got.append)
        register_declared()
        publish_newest()
        deliver_due()
        assert got == []

        schemas(DOWNGRADES)
        retry(FailedTask.objects.values_list("pk", flat=True), by="user olga")
        deliver_due()

    assert [seen(event.to_cloudevent()) for event in got] == [AS_PINNED]


def test_it_stops_neither_the_others_of_its_chunk_nor_other_keys(
    subscribe: Subscribe,
    bus: KeyedRouter,
    receiver: Receiver,
    client: Client,
    schemas: Callable[..., None],
    settings: Any,
) -> None:
    schemas({})
    networks = {"WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"]}
    settings.ROUTER = {**settings.ROUTER, **networks}
    subscribe(receiver.url, dataschemas=PIN)
    a_puller("puller", dataschemas=PIN)
    subscribe_bus(dataschemas=PIN)
    publish_newest(1, partitionkey="a")
    for n, key in ((2, "a"), (3, "b")):
        data = {"n": n, "name": "Ada"}
        publish(TYPE, data, dataschema=OLDEST, partitionkey=key)

    deliver_due()

    assert sorted(json.loads(each.body)["data"]["n"] for each in receiver.received) == [
        2,
        3,
    ]
    assert bus.taken == {"b": [3]}, "the key of a failed task is held"
    key, body = a_key(Scope.CONSUME), {"max": 10}
    pulled = send(client, "POST", "subscribers/puller/pull/", body, key=key)
    assert [row["event"]["data"]["n"] for row in pulled.json()["deliveries"]] == [2, 3]
    failed = FailedTask.objects.order_by("pk")
    names = failed.values_list("subscriber__name", flat=True)
    assert sorted(names) == ["bus", "erp", "puller"]
    assert {row.error.partition(":")[0] for row in failed} == {"DowngradeFailed"}
