"""An event that no release would record today hurts nobody but itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from router.flow.route.routing import route_batch
from router.models import (
    ApiKey,
    Attempt,
    Delivery,
    EventRecord,
    FailedTask,
    Scope,
    Subscriber,
)
from router.public import publish
from router.testing import deliver_due
from tests.contract.steps import TYPE, Subscribe, a_puller, fates
from tests.integration.rows import an_event
from tests.integration.staff import a_viewer
from tests.receivers import Declare
from tests.servers.receiving import Receiver

#: What each database holds of what is refused today.
BAD: dict[str, dict[str, Any]] = {
    "postgresql": {"ext": "a\x85\uffff", "n": 10**30, "BAD name": 1.5},
    "sqlite": {"ext": "a\ud800", "n": 10**30, "BAD name": "\x00", "\udc00": None},
}


@pytest.fixture
def bad() -> dict[str, Any]:
    return BAD[connection.vendor]


def record_bad(bad: dict[str, Any], **fields: Any) -> EventRecord:
    return an_event(type=TYPE, extensions=bad, data=bad, is_routed=False, **fields)


def among_neighbours(bad: dict[str, Any], **fields: Any) -> None:
    publish(TYPE, {"n": 1}, source="/x", id="before")
    record_bad(bad, **fields)
    publish(TYPE, {"n": 2}, source="/x", id="after")
    route_batch()


def call(method: str, path: str, body: Any = None) -> Any:
    _, text = ApiKey.make(f"{method} {path}"[:100], scopes=list(Scope))
    return getattr(Client(), method)(
        f"/api/{path}",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {text}"},
    )


def test_the_log_shows_it_among_its_neighbours(
    transactional_db: None, bad: dict[str, Any]
) -> None:
    among_neighbours(bad)

    answer = call("get", "events/")

    assert answer.status_code == 200
    shown = [row["event"] for row in answer.json()["results"]]
    assert [event["id"] for event in shown][::2] == ["after", "before"]
    assert shown[1]["n"] == 10**30
    assert shown[1]["ext"] == bad["ext"].replace("\ud800", "\ufffd")


def test_its_pages_show_it(transactional_db: None, bad: dict[str, Any]) -> None:
    row = record_bad(bad)
    viewer = a_viewer()

    assert call("get", f"events/{row.pk}/").status_code == 200
    for page in (
        reverse("admin:router_eventrecord_changelist"),
        reverse("admin:router_eventrecord_change", args=[row.pk]),
    ):
        assert viewer.get(page).status_code == 200


def test_a_pull_brings_it_and_its_neighbours(
    transactional_db: None, bad: dict[str, Any]
) -> None:
    a_puller()
    among_neighbours(bad)

    answer = call("post", "subscribers/erp/pull/", {"max": 10})

    assert answer.status_code == 200
    events = [delivery["event"] for delivery in answer.json()["deliveries"]]
    assert len(events) == 3
    assert events[1]["ext"] == bad["ext"].replace("\ud800", "\ufffd")


def test_a_pull_fails_what_can_not_be_read_and_brings_its_neighbours(
    transactional_db: None,
) -> None:
    a_puller()
    among_neighbours({}, data_encoding="base64")

    answer = call("post", "subscribers/erp/pull/", {"max": 10})

    assert answer.status_code == 200
    events = [delivery["event"] for delivery in answer.json()["deliveries"]]
    assert [event["id"] for event in events] == ["before", "after"]
    assert "TypeError" in FailedTask.objects.get().error
    assert Delivery.objects.filter(state="DEAD").count() == 1


def test_what_can_not_be_read_is_marked_in_the_log(transactional_db: None) -> None:
    among_neighbours({}, data_encoding="base64")
    row = EventRecord.objects.get(data_encoding="base64")

    shown = [result["event"] for result in call("get", "events/").json()["results"]]

    assert [event.get("unreadable") for event in shown] == [None, "TypeError", None]
    page = reverse("admin:router_eventrecord_change", args=[row.pk])
    assert "unreadable" in a_viewer().get(page).content.decode()


def test_a_webhook_of_it_is_json_and_its_neighbours_are_posted(
    subscribe: Subscribe, receiver: Receiver, bad: dict[str, Any]
) -> None:
    subscribe(receiver.url)
    among_neighbours(bad)

    deliver_due()

    bodies = [json.loads(request.body.decode()) for request in receiver.received]
    assert len(bodies) == 3
    (sent,) = [body for body in bodies if "ext" in body]
    assert sent["ext"] == bad["ext"].replace("\ud800", "\ufffd")


def test_a_webhook_that_can_not_be_read_fails_alone(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe(receiver.url)
    among_neighbours({}, data_encoding="base64")

    deliver_due()

    assert len(receiver.received) == 2
    assert Delivery.objects.filter(state="ACKNOWLEDGED").count() == 2


def test_a_handler_that_fails_for_it_fails_for_it_alone(
    declare: Declare, bad: dict[str, Any]
) -> None:
    listener = declare(behave=lambda event: "ext" in event.extensions and 1 / 0)
    among_neighbours(bad)

    deliver_due()

    assert {event.id for event in listener.seen} >= {"before", "after"}
    assert fates() == ["ACKNOWLEDGED", "PENDING", "ACKNOWLEDGED"]


def test_what_no_handler_can_be_given_fails_alone(declare: Declare) -> None:
    listener = declare(behave=lambda event: event.data)
    Subscriber.objects.update(mean_run_ms=0.1)
    among_neighbours({}, data_encoding="base64")

    deliver_due()

    assert {event.id for event in listener.seen} >= {"before", "after"}
    assert fates() == ["ACKNOWLEDGED", "PENDING", "ACKNOWLEDGED"]
    assert "TypeError" in Attempt.objects.get().error


#: What an older release let each database keep as the time of an event.
TIMES = {
    "postgresql": ["10000-01-01 00:59:59+00", "0001-12-31 23:59:59+00 BC", "infinity"],
    "sqlite": ["10000-01-01 00:59:59", "-0001-12-31 23:59:59", "infinity"],
}


def at_a_time_beyond(place: int) -> EventRecord:
    """Among its neighbours."""
    publish(TYPE, {"n": 1}, source="/x", id="before")
    row = record_bad({})
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE router_eventrecord SET time = %s WHERE number = %s",
            [TIMES[connection.vendor][place], row.pk],
        )
    publish(TYPE, {"n": 2}, source="/x", id="after")
    route_batch()
    return row


@pytest.mark.parametrize("is_streamed", [True, False])
@pytest.mark.parametrize("place", range(3))
def test_a_handler_is_given_the_neighbours_of_a_time_that_python_does_not_have(
    declare: Declare, place: int, is_streamed: bool
) -> None:
    listener = declare(is_safe_concurrently=not is_streamed)
    Subscriber.objects.update(mean_run_ms=0.1)
    at_a_time_beyond(place)

    deliver_due()

    assert {event.id for event in listener.seen} >= {"before", "after"}
    assert fates()[::2] == ["ACKNOWLEDGED", "ACKNOWLEDGED"]


@pytest.mark.parametrize("place", range(3))
def test_a_time_that_python_does_not_have_hurts_no_neighbour(
    transactional_db: None, place: int
) -> None:
    a_puller()
    row = at_a_time_beyond(place)

    listed = call("get", "events/")
    pulled = call("post", "subscribers/erp/pull/", {"max": 10})

    assert (listed.status_code, pulled.status_code) == (200, 200)
    assert len(listed.json()["results"]) == 3
    ids = {delivery["event"]["id"] for delivery in pulled.json()["deliveries"]}
    assert ids >= {"before", "after"}
    assert call("get", f"events/{row.pk}/").status_code == 200
    page = reverse("admin:router_eventrecord_changelist")
    assert a_viewer().get(page).status_code == 200
