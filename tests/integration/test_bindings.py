"""What a key is bound to holds for all that it makes, changes, pulls and reads."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.utils import timezone

from router.api.events.visible import visible_events
from router.contract.dialects import compiled
from router.flow.route.routing import route_batch
from router.models import ApiKey, Delivery, EventRecord, Scope, Subscriber
from router.operate.subscribers import edit_subscriber
from router.public import publish
from tests.integration.api import assert_problem, pointers, send
from tests.integration.rows import (
    a_delivery,
    a_failed_task,
    a_subscriber,
    an_event,
)

pytestmark = pytest.mark.usefixtures("empty_router")
Call = Callable[..., Any]

PARTNER = {"types": ["parcel.*"], "sources": ["/partner"], "subscribers": ["crm*"]}
PULLER = {"name": "crm1", "transport": "pull", "events": ["parcel.*"]}


@pytest.fixture
def call(client: Client) -> Call:
    """`call(method, path, body, **bindings)` with a key that has every scope."""
    key, text = ApiKey.make("partner", scopes=list(Scope.values))

    def with_bindings(method: str, path: str, body: Any = None, **bindings: Any) -> Any:
        bound = bindings or PARTNER
        empty = dict.fromkeys(PARTNER, [])
        ApiKey.objects.filter(pk=key.pk).update(**{**empty, **bound})
        return send(client, method, path, body or {}, key=text)

    return with_bindings


def of_partner(**attributes: Any) -> EventRecord:
    return an_event(**{"source": "/partner", "type": "parcel.lost", **attributes})


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"events": ["*"]}, "/events/0"),
        ({"events": ["parcel.lost", "purchase.completed"]}, "/events/1"),
        ({"allowed_types": ["*"]}, "/allowed_types/0"),
        ({"allowed_sources": ["/partner", "/shop"]}, "/allowed_sources/1"),
        ({"allowed_sources": ["/partner*"]}, "/allowed_sources/0"),
        ({"name": "erp"}, "/name"),
    ],
)
def test_a_key_makes_no_subscriber_that_hears_more(
    call: Call, wanted: dict[str, Any], pointer: str
) -> None:
    made = call("POST", "subscribers/", {**PULLER, **wanted})

    assert pointers(made, 403) == [pointer]
    assert not Subscriber.objects.exists()


def test_a_key_that_names_no_type_makes_no_subscriber(call: Call) -> None:
    """Left out, `events` would be all."""
    del (left := dict(PULLER))["events"]
    named = {"subscribers": ["crm*"]}
    assert pointers(call("POST", "subscribers/", left), 403) == ["/events/0"]
    assert pointers(call("POST", "subscribers/", PULLER, **named), 403) == ["/events/0"]
    no_source = {**named, "types": ["*"]}
    problem = assert_problem(call("POST", "subscribers/", PULLER, **no_source), 403)
    assert "bound to no source" in problem["detail"]


def test_a_subscriber_hears_no_more_than_the_key_that_made_it(call: Call) -> None:
    made = call("POST", "subscribers/", PULLER).json()
    assert made["allowed_types"] == ["parcel.*"]
    assert made["allowed_sources"] == ["/partner"]
    # However the row came to want more.
    Subscriber.objects.update(events=["*"], filter=None)
    publish("parcel.lost", {}, source="/partner", id="own")
    publish("parcel.lost", {}, source="/shop", id="other-source")
    publish("ticket.sold", {}, source="/partner", id="other-type")
    route_batch()

    pulled = call("POST", "subscribers/crm1/pull/").json()["deliveries"]
    assert [delivery["event"]["id"] for delivery in pulled] == ["own"]
    assert Delivery.objects.count() == 1


def test_its_own_test_event_comes_whatever_its_limits(call: Call) -> None:
    call("POST", "subscribers/", PULLER)
    number = call("POST", "subscribers/crm1/test/").json()["number"]
    route_batch()

    (pulled,) = call("POST", "subscribers/crm1/pull/").json()["deliveries"]
    assert pulled["event"]["type"] == "router.test"
    assert call("GET", f"events/{number}/").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"url": "https://thief.example/"}),
        ("PATCH", "", {"events": ["parcel.lost"]}),
        ("PATCH", "", {"filter": None}),
        ("PATCH", "", {"headers": {}}),
        ("PATCH", "", {"transport": "webhook", "url": "https://thief.example/"}),
        ("PATCH", "", {"allowed_types": ["parcel.*"]}),
        # All that it is owed would be given up.
        ("PATCH", "", {"max_failures": 1}),
        ("PATCH", "", {"waits_seconds": [0]}),
        ("DELETE", "", {}),
        ("POST", "rotate-secret/", {}),
        ("POST", "pull/", {}),
    ],
)
@pytest.mark.parametrize(
    "wider",
    [
        {"allowed_types": ["*"], "allowed_sources": ["/partner"]},
        {"allowed_types": ["parcel.*"], "allowed_sources": ["/partner", "/shop"]},
    ],
)
def test_a_key_turns_no_wider_subscriber_to_itself(
    call: Call, method: str, path: str, body: dict[str, Any], wider: dict[str, Any]
) -> None:
    """What it is owed already would go to the key's own host, or to the key."""
    row = a_subscriber("crm1", transport="pull", events=["parcel.*"], **wider)
    before = Subscriber.objects.values().get()

    problem = assert_problem(call(method, f"subscribers/crm1/{path}", body), 403)

    assert "may receive more than this API key" in problem["detail"]
    assert Subscriber.objects.values().get() == before
    assert call("PATCH", "subscribers/crm1/", {"title": "CRM"}).status_code == 200
    assert call("POST", "subscribers/crm1/pause/").status_code == 200
    assert call("POST", "subscribers/crm1/resume/").status_code == 200
    dead = a_failed_task(a_delivery(of_partner(), row, "DEAD"))
    assert call("GET", "failed-tasks/").json()["results"] == []
    assert_problem(call("POST", f"failed-tasks/{dead.pk}/retry/"), 404)
    assert_problem(call("POST", f"deliveries/{dead.delivery_id}/resend/"), 404)


def test_a_key_changes_its_own_subscriber_within_its_bindings(call: Call) -> None:
    call("POST", "subscribers/", PULLER)
    hook = {"transport": "webhook", "url": "https://crm.example/"}
    assert call("PATCH", "subscribers/crm1/", hook).status_code == 200
    wide = call("PATCH", "subscribers/crm1/", {"events": ["*"]})
    assert pointers(wide, 403) == ["/events/0"]
    assert call("DELETE", "subscribers/crm1/").status_code == 204


def test_even_an_operator_widens_events_only_with_the_limit(call: Call) -> None:
    call("POST", "subscribers/", PULLER)
    unbound = dict.fromkeys(PARTNER, [])
    more: dict[str, Any] = {"events": ["purchase.*"]}
    path = "subscribers/crm1/"
    assert pointers(call("PATCH", path, more, **unbound), 422) == ["/events/0"]
    more["allowed_types"] = ["*"]
    assert call("PATCH", path, more, **unbound).status_code == 200
    assert_problem(call("PATCH", path, {"events": ["parcel.*"]}), 403)


def test_a_narrower_limit_takes_back_what_is_owed_beyond(call: Call) -> None:
    row = a_subscriber("crm1", transport="pull", events=["parcel.*"])
    foreign = an_event(type="parcel.lost", source="/shop")
    kept = [a_delivery(of_partner(), row), a_delivery(of_partner(), row, "LEASED")]
    gone = [
        a_delivery(foreign, row, state, run=run)
        for run, state in enumerate(("PENDING", "LEASED"))
    ]
    done = a_delivery(foreign, row, "ACKNOWLEDGED", run=2)
    dead = a_failed_task(a_delivery(foreign, row, "DEAD", run=3))

    edit_subscriber(row, by="user olga", allowed_sources=["/partner"])

    states = dict(Delivery.objects.values_list("pk", "state"))
    assert [states[each.pk] for each in kept] == ["PENDING", "LEASED"]
    assert [states[each.pk] for each in gone] == ["CANCELLED", "CANCELLED"]
    unbound = dict.fromkeys(PARTNER, [])
    retry = call("POST", f"failed-tasks/{dead.pk}/retry/", **unbound)
    assert (
        "beyond what its subscriber may receive" in assert_problem(retry, 409)["detail"]
    )
    resend = call("POST", f"deliveries/{done.pk}/resend/", **unbound)
    assert_problem(resend, 409)


class TestTheLog:
    def seen(self, call: Call, **bindings: Any) -> list[int]:
        response = call("GET", "events/", **bindings)
        assert response.status_code == 200, response.content
        return [result["number"] for result in response.json()["results"]]

    def test_a_key_reads_what_it_could_publish_or_its_subscribers_receive(
        self, call: Call
    ) -> None:
        own = of_partner()
        heard = an_event(type="ticket.sold", source="/box-office")
        an_event(type="ticket.sold", source="/other")
        private = an_event()
        row = a_subscriber(
            "crm1", events=["*"], allowed_types=["ticket.*"],
            allowed_sources=["/box-office"],
        )  # fmt: skip
        a_subscriber("erp", events=["*"])
        for receiver in (row, a_subscriber("other")):
            a_delivery(heard, receiver)
        wide = {**PARTNER, "types": ["parcel.*", "ticket.*"]}
        wide["sources"] = ["/partner", "/box-office"]

        assert self.seen(call) == [own.number]
        assert self.seen(call, **wide) == [heard.number, own.number]
        assert self.seen(call, subscribers=["crm*"]) == [heard.number]
        assert self.seen(call, subscribers=["nobody"]) == []
        assert_problem(call("GET", f"events/{private.number}/"), 404)
        shown = call("GET", f"events/{heard.number}/", subscribers=["crm*"]).json()
        assert [delivery["subscriber"] for delivery in shown["deliveries"]] == ["crm1"]

    def test_the_routers_own_events_are_not_publishable(self, call: Call) -> None:
        """They name other subscribers."""
        an_event(type="router.failed_task.opened", source="/router")
        everything = {**PARTNER, "types": ["*"], "sources": ["*"]}
        assert self.seen(call, **everything) == []

    def test_a_capital_is_another_letter(self, call: Call) -> None:
        for number in range(100):
            an_event(type=f"many.{number}", source=f"/many/{number}")
        an_event(type="Parcel.lost", source="/partner")
        own = of_partner()
        assert self.seen(call) == [own.number]

    @pytest.mark.parametrize(
        "expression",
        [
            {"exact": {"subject": "order-1"}},
            {"exact": {"subject": "order-1", "type": "purchase.refunded"}},
            {"prefix": {"subject": "order-"}},
            {"prefix": {"subject": "Order"}},
            {"suffix": {"subject": "-2"}},
            {"suffix": {"id": "%_"}},
            {"not": {"exact": {"type": "purchase.completed"}}},
            {"not": {"prefix": {"partitionkey": "a"}}},
            {"any": [{"suffix": {"source": "op"}}, {"exact": {"id": "%_"}}]},
            {"all": [{"prefix": {"type": "purchase."}}, {"suffix": {"subject": "1"}}]},
        ],
    )
    def test_a_filter_reads_as_it_is_routed(self, expression: dict[str, Any]) -> None:
        events = [
            an_event(),
            an_event(subject="order-2", event_id="%_"),
            an_event(subject="", type="purchase.refunded", partitionkey="ab"),
            an_event(subject="order-1", type="purchase.refunded", source="/stop"),
        ]
        a_subscriber("crm1", events=["purchase.*"], filter=expression)
        key, _ = ApiKey.make("k", scopes=[Scope.MANAGE], subscribers=["crm1"])

        visible = visible_events(key).order_by("number")

        chosen = compiled(expression)
        passing = [event for event in events if chosen.passes(event.context())]
        assert list(visible) == passing

    def test_a_filter_of_another_attribute_shows_nothing(self) -> None:
        an_event(extensions={"tenant": "north"})
        row = a_subscriber("crm1", events=["*"], filter={"exact": {"tenant": "south"}})
        key, _ = ApiKey.make("k", scopes=[Scope.MANAGE], subscribers=["crm1"])
        others = [{"sql": "TRUE"}, {"not": {"prefix": {"data.tenant": "n"}}}]
        for expression in (row.filter, {"not": row.filter}, *others):
            Subscriber.objects.update(filter=expression)
            assert not visible_events(key).exists()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"revoked_at": "now"}, 401),
        ({"expires_at": "now"}, 401),
        ({"scopes": ["publish"]}, 403),
        ({"subscribers": ["erp"]}, 404),
        ({"types": ["parcel.found"]}, 403),
    ],
)
@pytest.mark.parametrize("is_owed", [True, False])
def test_a_key_that_loses_its_right_while_it_waits_gets_nothing(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    status: int,
    is_owed: bool,
) -> None:
    call("POST", "subscribers/", PULLER)

    def lose_the_right(seconds: float) -> None:
        time.sleep(seconds)
        now = timezone.now()
        changes = {name: now if to == "now" else to for name, to in change.items()}
        ApiKey.objects.update(**changes)
        if is_owed and not EventRecord.objects.exists():
            publish("parcel.lost", {}, source="/partner")
            route_batch()

    defaults = import_module("router.flow.pull.leasing").pull_or_wait.__kwdefaults__
    monkeypatch.setitem(defaults, "sleep", lose_the_right)

    response = call("POST", "subscribers/crm1/pull/", {"wait_seconds": 1})

    assert_problem(response, status)
    assert not Delivery.objects.exclude(attempts=0).exists()


class TestCaps:
    def test_a_bound_key_has_so_many_subscribers(
        self, call: Call, settings: Any
    ) -> None:
        settings.ROUTER = {**settings.ROUTER, "MAX_SUBSCRIBERS_OF_KEY": 1}
        a_subscriber("another")
        assert call("POST", "subscribers/", PULLER).status_code == 201
        second = call("POST", "subscribers/", {**PULLER, "name": "crm2"})
        assert "At most" in assert_problem(second, 409)["detail"]
        call("DELETE", "subscribers/crm1/")
        second = call("POST", "subscribers/", {**PULLER, "name": "crm2"})
        assert second.status_code == 201

    def test_a_site_has_so_many_subscribers(self, call: Call, settings: Any) -> None:
        settings.ROUTER = {**settings.ROUTER, "MAX_SUBSCRIBERS": 1}
        a_subscriber("another")
        unbound = dict.fromkeys(PARTNER, [])
        assert_problem(call("POST", "subscribers/", PULLER, **unbound), 409)
        assert_problem(call("POST", "subscribers/", PULLER), 409)


@pytest.mark.parametrize(
    ("scopes", "before", "after"),
    [
        (["publish"], ([], [], []), ([], [], [])),
        (["publish"], (["/a"], [], []), (["/a"], ["*"], [])),
        (["publish", "consume"], ([], ["b.*"], []), (["*"], ["b.*"], [])),
        (["publish"], ([], [], ["crm"]), ([], [], ["crm"])),
        (["publish"], (["/a"], [], ["crm"]), (["/a"], ["*"], ["crm"])),
        (["manage"], (["/a"], [], []), (["/a"], [], [])),
    ],
)
def test_an_upgrade_keeps_what_a_bound_key_may_publish(
    scopes: list[str], before: tuple[Any, ...], after: tuple[Any, ...]
) -> None:
    """And an older release does not read a list that means none as all."""
    migration = import_module("router.migrations.0017_bindings")
    kinds = ("sources", "types", "subscribers")
    key, _ = ApiKey.make("k", scopes=scopes, **dict(zip(kinds, before, strict=True)))

    def lists() -> tuple[Any, ...]:
        key.refresh_from_db()
        return tuple(getattr(key, kind) for kind in kinds)

    migration.to_empty_is_none(apps, None)
    assert lists() == after
    migration.to_empty_is_all(apps, None)
    assert all(lists()) == any(after)
    migration.to_empty_is_none(apps, None)
    assert lists() == after
