"""Pulling over HTTP: lease, acknowledge, hand back, hold longer."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from router.flow.routing import route_batch
from router.flow.subscribing import create_subscriber, edit_subscriber
from router.flow.sweeping import sweep
from router.models import (
    ApiKey,
    Attempt,
    BreakerState,
    Clock,
    Delivery,
    DeliveryState,
    FailedTask,
    Scope,
    Subscriber,
    SubscriberState,
)
from router.public import publish
from tests.integration.api import assert_problem

pytestmark = pytest.mark.usefixtures("empty_router")

PULL = "subscribers/erp/pull/"
Call = Callable[..., Any]


@pytest.fixture
def erp() -> Subscriber:
    made = create_subscriber("erp", by="test", transport="pull", events=["ticket.*"])
    return made.subscriber


@pytest.fixture
def call(client: Client) -> Call:
    """`call(path, body, **binding)`: with a key that may consume."""
    texts: dict[str, str] = {}

    def send(path: str, body: Any = None, **binding: Any) -> Any:
        name = str(binding)
        if name not in texts:
            made, texts[name] = ApiKey.make(f"erp {name}", scopes=[Scope.CONSUME])
            ApiKey.objects.filter(pk=made.pk).update(**binding)
        return client.post(
            f"/api/{path}",
            json.dumps({} if body is None else body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {texts[name]}"},
        )

    return send


def sold(count: int = 1) -> None:
    for _ in range(count):
        publish("ticket.sold", {"seat": 7}, source="/test")
    route_batch()


def pulled(call: Call, **asked: Any) -> list[dict[str, Any]]:
    response = call(PULL, asked)
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["deliveries"]
    return found


def entries(*deliveries: dict[str, Any]) -> dict[str, Any]:
    return {
        "deliveries": [
            {"id": one["id"], "lease_token": one["lease_token"]} for one in deliveries
        ]
    }


def statuses(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [one["status"] for one in response.json()["results"]]


def run_out(**changes: Any) -> None:
    """As if time had passed: every lease ended."""
    Delivery.objects.filter(state=DeliveryState.LEASED).update(
        leased_until=Clock() - timedelta(seconds=1), **changes
    )


def test_what_is_owed_is_leased_in_order_and_settled(
    erp: Subscriber, call: Call
) -> None:
    sold(3)

    first, second = pulled(call, max=2)

    assert (first["attempt"], first["origin"], first["position"]) == (1, "live", 1)
    assert first["event"]["type"] == "ticket.sold"
    assert first["event"]["data"] == {"seat": 7}
    assert second["position"] == 2
    (third,) = pulled(call)
    assert pulled(call) == []
    assert statuses(call("deliveries/ack/", entries(first, second, third))) == [200] * 3
    assert set(Delivery.objects.values_list("state", flat=True)) == {
        DeliveryState.ACKNOWLEDGED
    }
    assert Attempt.objects.count() == 3


def test_a_lost_lease_is_told_for_that_entry_alone(erp: Subscriber, call: Call) -> None:
    sold(2)
    first, second = pulled(call)
    forged = {**second, "lease_token": str(uuid.uuid4())}

    answer = call("deliveries/ack/", entries(first, forged))

    assert statuses(answer) == [200, 409]
    assert "lease" in answer.json()["results"][1]["detail"]
    assert statuses(call("deliveries/ack/", entries(first, second))) == [409, 200]


def test_an_expired_lease_comes_back_and_the_late_ack_hits_nothing(
    erp: Subscriber, call: Call
) -> None:
    sold()
    (late,) = pulled(call)
    run_out()
    assert sweep() == 1

    (again,) = pulled(call)

    assert again["attempt"] == 2
    assert statuses(call("deliveries/ack/", entries(late))) == [409]
    assert statuses(call("deliveries/ack/", entries(again))) == [200]


def test_a_suspect_is_handed_out_alone(erp: Subscriber, call: Call) -> None:
    sold(3)
    pulled(call, max=1)
    run_out()
    sweep()
    Delivery.objects.filter(vanished=0).update(due_at=Clock() + timedelta(hours=1))
    Delivery.objects.filter(vanished=0).update(due_at=Clock())

    sizes = [len(pulled(call)) for _ in range(3)]

    assert sorted(sizes) == [0, 1, 2]


def test_a_nack_waits_as_long_as_it_says_and_counts(
    erp: Subscriber, call: Call
) -> None:
    sold()
    (one,) = pulled(call)

    call("deliveries/nack/", {**entries(one), "delay_seconds": 600, "reason": "full"})

    delivery = Delivery.objects.annotate(now=Clock()).get()
    assert delivery.state == DeliveryState.PENDING
    assert delivery.failures == 1
    assert 590 < (delivery.due_at - delivery.now).total_seconds() <= 600
    assert "full" in Attempt.objects.get().error
    assert pulled(call) == []


def test_nacked_without_a_delay_the_schedule_says(erp: Subscriber, call: Call) -> None:
    sold()
    call("deliveries/nack/", entries(*pulled(call)))

    delivery = Delivery.objects.annotate(now=Clock()).get()
    assert 0 < (delivery.due_at - delivery.now).total_seconds() <= 1


def test_what_has_not_begun_comes_back_as_if_it_had_not_been_leased(
    erp: Subscriber, call: Call
) -> None:
    edit_subscriber(erp, by="test", max_failures=1)
    sold(2)
    found = pulled(call)

    answer = call("deliveries/nack/", {**entries(*found), "has_begun": False})

    assert statuses(answer) == [200, 200]
    assert Attempt.objects.count() == FailedTask.objects.count() == 0
    assert [one["attempt"] for one in pulled(call)] == [1, 1]
    assert statuses(call("deliveries/ack/", entries(*found))) == [409, 409]


def test_many_nacks_open_no_breaker_and_end_as_failed_tasks(
    erp: Subscriber, call: Call
) -> None:
    edit_subscriber(erp, by="test", max_failures=2)
    sold(7)

    for _ in range(2):
        found = pulled(call, max=20)
        assert len(found) == 7
        call("deliveries/nack/", {**entries(*found), "delay_seconds": 0})

    erp.refresh_from_db()
    assert erp.breaker == BreakerState.CLOSED
    assert FailedTask.objects.count() == 7


def test_extended_it_is_held_longer(erp: Subscriber, call: Call) -> None:
    sold()
    (one,) = pulled(call, lease_seconds=1)

    answer = call("deliveries/extend/", {**entries(one), "lease_seconds": 300})

    assert statuses(answer) == [200]
    delivery = Delivery.objects.annotate(now=Clock()).get()
    assert (delivery.leased_until - delivery.now).total_seconds() > 290


def test_a_lease_is_not_extended_without_end(erp: Subscriber, call: Call) -> None:
    sold()
    (one,) = pulled(call)
    longer = {**entries(one), "lease_seconds": 300}
    hour = timedelta(hours=1)

    Delivery.objects.update(pulled_at=Clock() - hour + timedelta(seconds=100))
    capped = call("deliveries/extend/", longer).json()["results"][0]
    assert capped["status"] == 200
    delivery = Delivery.objects.annotate(now=Clock()).get()
    assert (delivery.leased_until - delivery.now).total_seconds() <= 100

    Delivery.objects.update(pulled_at=Clock() - hour)
    refused = call("deliveries/extend/", longer).json()["results"][0]
    assert refused["status"] == 409
    assert "as long as" in refused["detail"]


def test_a_paused_subscriber_gets_nothing_and_may_finish(
    erp: Subscriber, call: Call
) -> None:
    sold(2)
    (one,) = pulled(call, max=1)
    Subscriber.objects.update(state=SubscriberState.PAUSED)

    answer = call(PULL).json()

    assert answer == {"deliveries": [], "state": "paused"}
    assert statuses(call("deliveries/ack/", entries(one))) == [200]


def test_switched_to_webhooks_the_puller_has_lost_its_leases(
    erp: Subscriber, call: Call
) -> None:
    sold()
    (one,) = pulled(call)

    edit_subscriber(erp, by="test", transport="webhook", url="https://a.example.com/")

    assert statuses(call("deliveries/ack/", entries(one))) == [409]
    assert_problem(call(PULL), 409)
    assert Delivery.objects.get().state == DeliveryState.PENDING


def test_a_key_settles_for_its_own_subscribers_only(
    erp: Subscriber, call: Call
) -> None:
    sold()
    (one,) = pulled(call)
    bound = {"subscribers": ["crm"]}

    assert_problem(call(PULL, **bound), 403)
    assert statuses(call("deliveries/ack/", entries(one), **bound)) == [409]
    assert statuses(call("deliveries/nack/", entries(one), **bound)) == [409]
    assert statuses(call("deliveries/extend/", entries(one), **bound)) == [409]
    assert statuses(call("deliveries/ack/", entries(one))) == [200]


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        (PULL, {"max": 0}, "/max"),
        (PULL, {"max": 10**9}, "/max"),
        (PULL, {"wait_seconds": 1e6}, "/wait_seconds"),
        (PULL, {"lease_seconds": 0}, "/lease_seconds"),
        (PULL, {"lease_seconds": 1e6}, "/lease_seconds"),
        ("deliveries/ack/", {}, "/deliveries"),
        ("deliveries/ack/", {"deliveries": []}, "/deliveries"),
        ("deliveries/ack/", {"deliveries": [{"id": 1}]}, "/deliveries/0/lease_token"),
        (
            "deliveries/ack/",
            {"deliveries": [{"id": 2**70, "lease_token": str(uuid.uuid4())}]},
            "/deliveries/0/id",
        ),
        ("deliveries/nack/", {"deliveries": 7}, "/deliveries"),
        ("deliveries/nack/", {"deliveries": [7]}, "/deliveries/0"),
    ],
)
def test_what_is_wrong_is_told_by_its_pointer(
    erp: Subscriber, call: Call, path: str, body: Any, pointer: str
) -> None:
    told = assert_problem(call(path, body), 422)["errors"]
    assert [error["pointer"] for error in told] == [pointer]


def test_an_ack_of_many_costs_no_more_statements(erp: Subscriber, call: Call) -> None:
    sold(40)
    few, many = pulled(call, max=2), pulled(call, max=38)

    def statements(found: list[dict[str, Any]]) -> int:
        with CaptureQueriesContext(connection) as queries:
            call("deliveries/ack/", entries(*found))
        return len(queries)

    assert statements(few) == statements(many)


@pytest.mark.django_db(transaction=True)
def test_a_long_poll_answers_as_soon_as_something_is_owed(
    erp: Subscriber, call: Call
) -> None:
    call(PULL)
    later = threading.Timer(0.4, _sold_elsewhere)
    later.start()
    started_at = time.monotonic()

    found = pulled(call, wait_seconds=10)

    later.join()
    assert len(found) == 1
    assert time.monotonic() - started_at < 8


def _sold_elsewhere() -> None:
    try:
        sold()
    finally:
        connection.close()


def test_a_long_poll_ends_when_nothing_comes(erp: Subscriber, call: Call) -> None:
    assert pulled(call, wait_seconds=0.2) == []


def test_the_longest_lease_is_a_setting(erp: Subscriber, call: Call) -> None:
    short = {**settings.ROUTER, "PULL_LEASE_MAXIMUM_SECONDS": 5}
    with override_settings(ROUTER=short):
        assert_problem(call(PULL, {"lease_seconds": 6}), 422)
