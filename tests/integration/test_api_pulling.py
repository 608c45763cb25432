"""Pulling over HTTP: bodies, keys, and what is wrong said field by field."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from router.flow.route.routing import route_batch
from router.models import Delivery, Scope, Subscriber, Transport
from router.public import publish
from tests.integration.api import JSON, Call, a_key, assert_problem, send
from tests.integration.rows import a_subscriber

pytestmark = pytest.mark.django_db


@pytest.fixture
def consumer() -> str:
    """An API key that may consume, for the subscribers whose names begin with erp."""
    return a_key(Scope.CONSUME, subscribers=["erp*"])


@pytest.fixture
def call(client: Client, consumer: str, empty_router: None) -> Call:
    """Posts a body to a path of the API with that key."""
    for name in ("erp", "crm"):
        a_subscriber(name, events=["parcel.lost"], transport=Transport.PULL)

    def post(path: str, body: Any = None, *, key: str = consumer) -> Any:
        given = {} if body is None else body
        return send(client, "POST", f"{path}/", given, key=key)

    return post


def lose_parcels(count: int = 1) -> None:
    for n in range(count):
        publish("parcel.lost", {"parcel": n}, subject=f"parcel-{n}", id=f"lost-{n}")
    route_batch()


def pulled(call: Call, **body: Any) -> list[dict[str, Any]]:
    response = call("subscribers/erp/pull", body)
    assert response.status_code == 200, response.content
    deliveries: list[dict[str, Any]] = response.json()["deliveries"]
    return deliveries


def named(delivery: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": delivery["id"], "lease_token": delivery["lease_token"], **more}


def test_a_pull_gives_whole_events_and_the_leases_to_settle_them(call: Call) -> None:
    lose_parcels(2)

    first, second = pulled(call, max=10, wait_seconds=0, lease_seconds=30)

    assert (first["attempt"], first["origin"], first["position"]) == (1, "live", 1)
    assert second["position"] == 2
    assert first["event"]["specversion"] == "1.0"
    assert first["event"]["type"] == "parcel.lost"
    assert first["event"]["data"] == {"parcel": 0}
    assert first["event"]["id"] == "lost-0"
    assert isinstance(first["lease_token"], str)
    assert pulled(call) == []


def test_no_body_asks_for_the_defaults(call: Call) -> None:
    lose_parcels(11)
    response = call("subscribers/erp/pull", b"")
    assert len(response.json()["deliveries"]) == 10
    assert response.json()["state"] == "active"


def test_each_entry_has_its_own_answer(call: Call) -> None:
    lose_parcels(3)
    first, two, three = pulled(call)
    stale = {**named(two), "lease_token": three["lease_token"].swapcase()[::-1]}
    unknown = {"id": 2**63 - 1, "lease_token": "never was"}

    response = call(
        "deliveries/ack", {"deliveries": [named(first), stale, unknown, named(three)]}
    )

    assert response.status_code == 200
    results = response.json()["results"]
    assert [result["status"] for result in results] == [200, 409, 409, 200]
    assert [result["id"] for result in results][0] == first["id"]
    assert "not held" in results[1]["detail"]
    assert "detail" not in results[0]
    assert (
        Delivery.objects.filter(subscriber__name="erp", state="ACKNOWLEDGED").count()
        == 2
    )


@pytest.mark.parametrize(
    ("of_all", "of_one", "waited"),
    [
        ({"delay_seconds": 60}, {}, 60),  # For all of them.
        ({"delay_seconds": 60}, {"delay_seconds": 7}, 7),  # An entry's own goes first.
        ({"delay_seconds": 0}, {}, 0),
        ({"delay_seconds": 10**9}, {}, 86_400),  # At most a day.
    ],
)
def test_a_nack_says_when_again(
    call: Call, of_all: dict[str, Any], of_one: dict[str, Any], waited: float
) -> None:
    lose_parcels()
    (delivery,) = pulled(call)

    body = {
        "deliveries": [named(delivery, **of_one)],
        "reason": "ValueError: no",
        **of_all,
    }
    response = call("deliveries/nack", body)

    assert response.json() == {"results": [{"id": delivery["id"], "status": 200}]}
    attempt = Delivery.objects.get(pk=delivery["id"]).attempt_log.get()
    assert (attempt.wait_seconds, attempt.error) == (waited, "Nacked: ValueError: no")


def test_a_lease_is_extended_and_given_back(call: Call) -> None:
    lose_parcels()
    (delivery,) = pulled(call)
    body = {"deliveries": [named(delivery)], "lease_seconds": 60}
    (result,) = call("deliveries/extend", body).json()["results"]
    assert result["status"] == 200
    assert result["leased_until"] > delivery["leased_until"]
    body = {"deliveries": [named(delivery)]}
    assert call("deliveries/release", body).json()["results"][0]["status"] == 200
    (again,) = pulled(call)
    assert again["attempt"] == 1
    assert call("deliveries/ack", body).json()["results"][0]["status"] == 409


def test_a_paused_subscriber_says_so_and_gives_nothing(call: Call) -> None:
    lose_parcels()
    Subscriber.objects.update(state="paused")
    response = call("subscribers/erp/pull")
    assert response.json() == {
        "state": "paused",
        "deliveries": [],
        "retry_after_seconds": None,
    }


def test_an_answer_says_when_a_pull_that_may_not_wait_asks_again(
    call: Call, settings: Any
) -> None:
    settings.ROUTER = {**settings.ROUTER, "PULL_WAITS_AT_ONCE": 0}
    response = call("subscribers/erp/pull", {"wait_seconds": 5})
    assert response.json()["deliveries"] == []
    assert response.json()["retry_after_seconds"] in (1, 2, 3)
    assert response["Retry-After"] == str(response.json()["retry_after_seconds"])
    assert "Retry-After" not in call("subscribers/erp/pull")


def test_a_subscriber_that_does_not_pull_is_a_conflict(call: Call) -> None:
    Subscriber.objects.update(transport=Transport.WEBHOOK)
    assert "webhook" in assert_problem(call("subscribers/erp/pull"), 409)["detail"]


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("subscribers/erp/pull", {"max": 0}, "/max"),
        ("subscribers/erp/pull", {"max": 1001}, "/max"),
        ("subscribers/erp/pull", {"max": "many"}, "/max"),
        ("subscribers/erp/pull", {"wait_seconds": -1}, "/wait_seconds"),
        ("subscribers/erp/pull", {"wait_seconds": "nan"}, "/wait_seconds"),
        ("subscribers/erp/pull", {"lease_seconds": 0}, "/lease_seconds"),
        ("subscribers/erp/pull", {"lease_seconds": 601}, "/lease_seconds"),
        ("subscribers/erp/pull", '{"lease_seconds": 1e999}', "/lease_seconds"),
        ("subscribers/erp/pull", [1], ""),  # No object at all.
        ("deliveries/ack", {}, "/deliveries"),
        ("deliveries/ack", {"deliveries": 7}, "/deliveries"),
        ("deliveries/ack", {"deliveries": [7]}, "/deliveries/0"),
        (
            "deliveries/ack",
            {"deliveries": [{"id": 1, "lease_token": "x"}, {"id": 1}]},
            "/deliveries/1/lease_token",
        ),
        (
            "deliveries/ack",
            {"deliveries": [{"id": 2**63, "lease_token": "x"}]},
            "/deliveries/0/id",
        ),
        (
            "deliveries/ack",
            {"deliveries": [{"id": 1, "lease_token": "x"}] * 1001},
            "/deliveries",
        ),
        ("deliveries/nack", {"deliveries": [], "delay_seconds": -1}, "/delay_seconds"),
        ("deliveries/nack", {"deliveries": [], "reason": "\x00"}, "/reason"),
        ("deliveries/extend", {"deliveries": [], "lease_seconds": 0}, "/lease_seconds"),
    ],
)
def test_what_is_wrong_is_said_by_pointer(
    call: Call, path: str, body: Any, pointer: str
) -> None:
    errors = assert_problem(call(path, body), 422)["errors"]
    assert [error["pointer"] for error in errors] == [pointer]
    assert errors[0]["detail"]


def test_a_refusal_says_which_content_type_is_accepted(
    client: Client, consumer: str
) -> None:
    form = "application/x-www-form-urlencoded"
    response = send(
        client,
        "POST",
        "deliveries/ack/",
        "deliveries=1",
        key=consumer,
        content_type=form,
    )
    assert JSON in assert_problem(response, 415)["detail"]
