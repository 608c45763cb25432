"""Subscribers managed over HTTP."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from router.conf import conf
from router.flow.cancel import cancel_owed_to_deleted
from router.flow.route.routing import route_batch
from router.models import (
    ApiKey,
    AuditEntry,
    BreakerState,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    FailedTaskState,
    Scope,
    SigningSecret,
    Subscriber,
    SubscriberState,
)
from router.operate.secrets import MAX_LIVE_SECRETS
from router.public import publish
from tests.integration.api import assert_problem
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event

pytestmark = pytest.mark.usefixtures("empty_router")

ERP = {"name": "erp", "transport": "pull", "events": ["ticket.*"]}
HOOK = {
    "name": "crm",
    "transport": "webhook",
    "url": "https://crm.example.com/hooks",
    "events": ["ticket.sold"],
}
Call = Callable[..., Any]


@pytest.fixture
def call(client: Client) -> Call:
    """`call(method, path, body, **binding)`: with a key that may manage."""
    texts: dict[str, str] = {}

    def send(method: str, path: str, body: Any = None, **key: Any) -> Any:
        name = str(key)
        if name not in texts:
            made = ApiKey.make(f"manager {name}", scopes=[Scope.MANAGE])
            ApiKey.objects.filter(pk=made[0].pk).update(**key)
            texts[name] = made[1]
        return client.generic(
            method,
            path if path.startswith("/") else f"/api/subscribers/{path}",
            "" if body is None else json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {texts[name]}"},
        )

    return send


def the(name: str) -> Subscriber:
    return Subscriber.objects.known().get(name=name)


def pointers(response: Any, status: int = 422) -> list[str]:
    return [error["pointer"] for error in assert_problem(response, status)["errors"]]


def test_a_pull_subscriber_is_made_and_owed_what_comes(call: Call) -> None:
    made = call("POST", "", ERP)

    assert made.status_code == 201, made.content
    body = made.json()
    assert body["state"] == "active"
    assert body["ordering"] == "none"
    assert "secret" not in body
    publish("ticket.sold", {}, source="/test")
    publish("parcel.lost", {}, source="/test")
    route_batch()
    (delivery,) = Delivery.objects.all()
    assert delivery.event.type == "ticket.sold"


def test_the_secret_of_a_webhook_is_shown_once_and_kept_encrypted(call: Call) -> None:
    secret = call("POST", "", HOOK).json()["secret"]

    assert secret.startswith("whsec_")
    assert secret not in call("GET", "crm/").content.decode()
    assert SigningSecret.objects.get().secret == secret
    kept = SigningSecret.objects.extra(select={"raw": "secret"}).get()
    assert secret not in kept.raw


def test_custom_headers_are_kept_encrypted_and_shown_by_name_only(call: Call) -> None:
    headers = {"X-Token": "open sesame"}

    shown = call("POST", "", {**HOOK, "headers": headers})

    assert shown.json()["header_names"] == ["X-Token"]
    assert "sesame" not in shown.content.decode()
    assert the("crm").custom_headers == headers
    raw = Subscriber.objects.extra(select={"raw": "custom_headers"}).get()
    assert "sesame" not in raw.raw


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"name": "Erp!"}, "/name"),
        ({"name": ""}, "/name"),
        ({"transport": "handler"}, "/transport"),
        ({"transport": "pigeon"}, "/transport"),
        ({"transport": "webhook"}, "/url"),
        ({"events": []}, "/events"),
        ({"events": ["ticket.*", "no*pattern"]}, "/events/1"),
        ({"events": "purchase.*"}, "/events"),
        ({"filter": {"exact": {}}}, "/filter/exact"),
        ({"filter": {"exact": {"type": 7}}}, "/filter/exact/type"),
        ({"filter": {"exact": {"type": "a\u0000b"}}}, "/filter/exact/type"),
        ({"filter": {"sql": "TRUE"}}, "/filter"),
        ({"filter": {"all": [{"any": []}]}}, "/filter/all/0/any"),
        ({"filter": []}, "/filter"),
        ({"headers": {"Webhook-Id": "mine"}}, "/headers/Webhook-Id"),
        ({"headers": {"X-A": "one\r\nX-B: two"}}, "/headers/X-A"),
        ({"headers": {"X A": "one"}}, "/headers/X A"),
        ({"headers": {"X-A": "one", "x-a": "two"}}, "/headers/x-a"),
        ({"headers": {"X-A": "one\r\n"}}, "/headers/X-A"),
        ({"headers": {"X-A": " one"}}, "/headers/X-A"),
        ({"headers": {"X-A": "\u007f"}}, "/headers/X-A"),
        ({"headers": {"X-A": "žluť"}}, "/headers/X-A"),
        ({"headers": {"X-Ä": "one"}}, "/headers/X-Ä"),
        ({"headers": {"CONTENT-TYPE": "text/html"}}, "/headers/CONTENT-TYPE"),
        ({"headers": {"Connection": "close"}}, "/headers/Connection"),
        ({"headers": {"router-x": "1"}}, "/headers/router-x"),
        ({"url": "https://crm.example.com/hooks?"}, "/url"),
        ({"rate_per_second": 0}, "/rate_per_second"),
        ({"rate_per_second": 1e9}, "/rate_per_second"),
        ({"in_flight_limit": 0}, "/in_flight_limit"),
        ({"waits_seconds": []}, "/waits_seconds"),
        ({"waits_seconds": [5, -1]}, "/waits_seconds/1"),
        ({"max_failures": 0}, "/max_failures"),
        # Named by the contract of the API, and not offered yet.
        ({"ordering": "key"}, "/ordering"),
        ({"from": "beginning"}, "/from"),
        ({"title": "a" * 100 + " " * 21}, "/title"),
        # A misspelt field is told, not passed over.
        ({"evnets": ["*"]}, "/evnets"),
    ],
)
def test_what_is_wrong_is_told_by_its_pointer(
    call: Call, wrong: dict[str, Any], pointer: str
) -> None:
    assert pointer in pointers(call("POST", "", {**ERP, **wrong}))
    assert not Subscriber.objects.exists()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (
            "https://crm.example.com/%2f%7E?a=b+c",
            "https://crm.example.com/%2f%7E?a=…",
        ),
        ("https://bücher.example/ü%2F", "https://xn--bcher-kva.example/%C3%BC%2F"),
    ],
)
def test_the_url_is_shown_as_it_is_sent(call: Call, given: str, kept: str) -> None:
    assert call("POST", "", {**HOOK, "url": given}).json()["url"] == kept
    call("PATCH", "crm/", {"url": "https://crm.example.com/"})
    assert call("PATCH", "crm/", {"url": given}).json()["url"] == kept


@pytest.mark.parametrize(
    ("answers", "status"),
    [(["10.1.2.3"], 201), (["93.184.216.34"], 422), (["10.2.0.1"], 422), ([], 201)],
)
def test_plain_http_is_refused_where_its_name_leads_out_of_the_allowed_networks(
    call: Call,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    answers: list[str],
    status: int,
) -> None:
    settings.ROUTER = {"WEBHOOK_ALLOWED_NETWORKS": ["10.1.0.0/16"]}
    monkeypatch.setattr(socket, "getaddrinfo", Names({"erp.example": answers}))

    made = call("POST", "", {**HOOK, "url": "http://erp.example/hooks"})

    assert made.status_code == status
    assert not any(address in made.content.decode() for address in answers)
    if status == 422:
        assert pointers(made) == ["/url"]
        assert call("POST", "", HOOK).status_code == 201
        changed = call("PATCH", "crm/", {"url": "http://erp.example/hooks"})
        assert pointers(changed) == ["/url"]


class Names:
    """The system's name server, that knows these names alone."""

    def __init__(self, addresses: dict[str, list[str]]) -> None:
        self._addresses = addresses

    def __call__(self, host: str, port: object, *_: object, **__: object) -> Any:
        if not self._addresses[host]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in self._addresses[host]
        ]


def test_a_body_that_is_no_object_is_told(call: Call) -> None:
    assert_problem(call("POST", "", [ERP]), 422)


def test_a_taken_name_is_a_conflict_until_its_subscriber_is_deleted(call: Call) -> None:
    call("POST", "", ERP)

    assert_problem(call("POST", "", ERP), 409)
    assert call("DELETE", "erp/").status_code == 204
    assert call("POST", "", ERP).status_code == 201


def test_the_list_shows_the_newest_first_in_pages(call: Call) -> None:
    for name in ("a", "b", "c"):
        call("POST", "", {**ERP, "name": name})

    first = call("GET", "?page_size=2").json()
    rest = call("GET", f"?page_size=2&cursor={first['next']}").json()

    assert [row["name"] for row in first["results"]] == ["c", "b"]
    assert [row["name"] for row in rest["results"]] == ["a"]
    assert rest["next"] is None


def test_a_change_holds_for_what_is_routed_from_now_on(call: Call) -> None:
    call("POST", "", ERP)
    publish("ticket.sold", {}, source="/test")
    route_batch()

    changed = call("PATCH", "erp/", {"events": ["parcel.*"], "title": "The books"})

    assert changed.json()["events"] == ["parcel.*"]
    publish("ticket.sold", {}, source="/test")
    publish("parcel.lost", {}, source="/test")
    route_batch()
    types = Delivery.objects.order_by("pk").values_list("event__type", flat=True)
    assert list(types) == ["ticket.sold", "parcel.lost"]


def test_a_filter_chooses_by_attributes(call: Call) -> None:
    call("POST", "", {**ERP, "filter": {"prefix": {"subject": "vip-"}}})

    publish("ticket.sold", {}, source="/test", subject="vip-7")
    publish("ticket.sold", {}, source="/test", subject="order-7")
    publish("ticket.sold", {}, source="/test")
    route_batch()

    assert Delivery.objects.get().event.subject == "vip-7"


def test_a_filter_that_breaks_loses_nothing_and_holds_up_nobody(call: Call) -> None:
    call("POST", "", ERP)
    call("POST", "", {**ERP, "name": "crm"})
    Subscriber.objects.filter(name="erp").update(filter={"exact": 7})

    publish("ticket.sold", {}, source="/test")
    route_batch()

    assert Delivery.objects.get(subscriber__name="crm").state == DeliveryState.PENDING
    assert Delivery.objects.get(subscriber__name="erp").state == DeliveryState.DEAD
    failed = FailedTask.objects.get()
    assert failed.error.startswith("FilterFailed")
    assert failed.state == FailedTaskState.OPEN


def test_turned_into_a_webhook_it_gets_a_secret_and_what_it_was_owed(
    call: Call,
) -> None:
    call("POST", "", ERP)
    leased = a_delivery(
        an_event(), the("erp"), "LEASED", lease_token="0" * 32, dispatch_count=1
    )

    assert pointers(call("PATCH", "erp/", {"transport": "webhook"})) == ["/url"]
    turned = call("PATCH", "erp/", {"transport": "webhook", "url": HOOK["url"]})

    assert turned.json()["secret"].startswith("whsec_")
    leased.refresh_from_db()
    assert (leased.state, leased.lease_token) == (DeliveryState.PENDING, None)
    assert the("erp").queue == "webhooks"
    again = call("PATCH", "erp/", {"transport": "pull"})
    assert "secret" not in again.json()
    assert the("erp").queue == "default"


def test_deleting_cancels_what_is_owed_and_keeps_what_was_done(call: Call) -> None:
    call("POST", "", ERP)
    erp = the("erp")
    waiting = a_delivery(an_event(), erp)
    working = a_delivery(an_event(), erp, "LEASED", lease_token="0" * 32)
    done = a_delivery(an_event(), erp, "ACKNOWLEDGED")
    dead = a_delivery(an_event(), erp, "DEAD")
    task = a_failed_task(dead)

    assert call("DELETE", "erp/").status_code == 204

    states = dict(Delivery.objects.values_list("pk", "state"))
    assert states[done.pk] == DeliveryState.ACKNOWLEDGED
    assert {states[one.pk] for one in (waiting, working, dead)} == {
        DeliveryState.CANCELLED
    }
    task.refresh_from_db()
    assert task.state == FailedTaskState.DISCARDED


def test_a_deleted_subscriber_is_owed_nothing_more(call: Call) -> None:
    call("POST", "", ERP)
    call("DELETE", "erp/")

    publish("ticket.sold", {}, source="/test")
    route_batch()

    assert not Delivery.objects.exists()
    assert_problem(call("GET", "erp/"), 404)


def test_the_sweep_ends_a_deletion_that_was_cut_off() -> None:
    gone = a_subscriber("gone", deleted_at="2026-01-01T00:00:00Z")
    stays = a_subscriber("stays")
    for subscriber in (gone, stays):
        a_delivery(an_event(), subscriber)

    assert cancel_owed_to_deleted() == 1
    assert cancel_owed_to_deleted() == 0
    assert gone.deliveries.get().state == DeliveryState.CANCELLED
    assert stays.deliveries.get().state == DeliveryState.PENDING


def test_a_handler_is_changed_in_its_code(call: Call) -> None:
    a_subscriber("mail", transport="handler")

    assert (
        "code" in assert_problem(call("PATCH", "mail/", {"title": "x"}), 409)["detail"]
    )


def test_paused_and_resumed_and_told_so(call: Call) -> None:
    call("POST", "", ERP)

    paused = call("POST", "erp/pause/", {"reason": "stocktaking"}).json()
    assert paused["state"] == SubscriberState.PAUSED
    assert "stocktaking" in paused["state_reason"]
    assert call("POST", "erp/pause/").json()["state"] == SubscriberState.PAUSED
    assert call("POST", "erp/resume/").json()["state"] == SubscriberState.ACTIVE


def test_a_rotation_keeps_the_old_secret_for_the_overlap(call: Call) -> None:
    old = call("POST", "", HOOK).json()["secret"]

    rotated = call("POST", "crm/rotate-secret/", {"overlap_seconds": 60}).json()

    live = [one.secret for one in SigningSecret.objects.live()]
    assert live == [rotated["secret"], old]
    assert rotated["old_expire_at"]
    assert_problem(call("POST", "crm/rotate-secret/", {"overlap_seconds": -1}), 422)


def test_a_subscriber_without_secrets_rotates_none(call: Call) -> None:
    call("POST", "", {"name": "erp", "transport": "pull", "events": ["*"]})
    assert_problem(call("POST", "erp/rotate-secret/"), 409)


def test_a_second_rotation_keeps_the_promise_of_the_first(call: Call) -> None:
    first = call("POST", "", HOOK).json()["secret"]
    promised = call("POST", "crm/rotate-secret/", {"overlap_seconds": 3600}).json()

    last = call("POST", "crm/rotate-secret/", {"overlap_seconds": 0}).json()

    live = SigningSecret.objects.live()
    assert [one.secret for one in live] == [last["secret"], first]
    assert last["old_expire_at"] == promised["old_expire_at"]

    ended = call(
        "POST",
        "crm/rotate-secret/",
        {"overlap_seconds": 0, "end_old_secrets": True},
    ).json()
    assert [one.secret for one in SigningSecret.objects.live()] == [ended["secret"]]
    assert ended["old_expire_at"] is None


def test_no_more_secrets_sign_than_may(call: Call) -> None:
    call("POST", "", HOOK)
    for _ in range(MAX_LIVE_SECRETS - 1):
        rotated = call("POST", "crm/rotate-secret/")
        assert rotated.status_code == 200

    refused = assert_problem(call("POST", "crm/rotate-secret/"), 409)

    assert f"{MAX_LIVE_SECRETS} secrets" in refused["detail"]
    end = rotated.json()["old_expire_at"].replace("T", " ")[:19]
    assert f"{end} UTC" in refused["detail"]
    assert "`end_old_secrets`" in refused["detail"]
    assert SigningSecret.objects.count() == MAX_LIVE_SECRETS

    body = {"end_old_secrets": True}
    assert call("POST", "crm/rotate-secret/", body).status_code == 200
    assert SigningSecret.objects.live().count() == 2


def test_a_subscriber_shows_what_is_in_force(call: Call) -> None:
    crm = call("POST", "", HOOK).json()
    assert (crm["waits_seconds"], crm["max_failures"]) == (None, None)
    assert crm["in_force"]["waits_seconds"] == list(conf().webhook_waits_seconds)
    assert crm["in_force"]["max_failures"] == len(conf().webhook_waits_seconds) + 1
    assert crm["in_force"]["in_flight_limit"] == conf().webhook_in_flight

    changes = {"waits_seconds": [1, 2], "in_flight_limit": 3}
    changed = call("PATCH", "crm/", changes).json()["in_force"]
    assert (changed["waits_seconds"], changed["max_failures"]) == ([1, 2], 3)
    assert changed["in_flight_limit"] == 3

    erp = call("POST", "", ERP).json()["in_force"]
    assert erp == {
        "waits_seconds": None,
        "first_wait_seconds": conf().retry_first_seconds,
        "longest_wait_seconds": conf().retry_maximum_seconds,
        "max_failures": conf().max_failures,
        "in_flight_limit": None,
    }


def test_a_test_event_goes_to_that_subscriber_alone(call: Call) -> None:
    call("POST", "", ERP)
    call("POST", "", {**ERP, "name": "crm", "events": ["*"]})

    number = call("POST", "erp/test/").json()["number"]

    route_batch()
    assert EventRecord.objects.get(pk=number).type == "router.test"
    assert Delivery.objects.get().subscriber.name == "erp"


def test_a_test_event_to_a_held_subscriber_says_why_it_waits(call: Call) -> None:
    call("POST", "", HOOK)
    assert call("POST", "crm/test/").json()["held_because"] is None

    Subscriber.objects.update(breaker=BreakerState.OPEN, probe_at=timezone.now())
    assert "breaker is open" in call("POST", "crm/test/").json()["held_because"]

    call("POST", "crm/pause/", {"reason": "stocktaking"})
    assert "stocktaking" in call("POST", "crm/test/").json()["held_because"]


def test_an_open_breaker_is_tried_and_closed_by_hand(call: Call) -> None:
    call("POST", "", HOOK)
    refused = assert_problem(call("POST", "crm/try-now/"), 409)
    assert "Nothing is held" in refused["detail"]
    refused = assert_problem(call("POST", "crm/close-breaker/"), 409)
    assert "not open" in refused["detail"]

    call("POST", "crm/test/")
    route_batch()
    in_an_hour = timezone.now() + timedelta(hours=1)
    Subscriber.objects.update(breaker=BreakerState.OPEN, probe_at=in_an_hour)
    assert call("POST", "crm/try-now/", {"reason": "mended"}).json()["name"] == "crm"
    row = Subscriber.objects.get()
    assert row.probe_at is not None
    assert row.probe_at < in_an_hour
    closed = call("POST", "crm/close-breaker/").json()
    assert closed["breaker"] == BreakerState.DRAINING


def test_a_delivery_is_skipped_once(call: Call) -> None:
    call("POST", "", HOOK)
    call("POST", "crm/test/")
    route_batch()
    delivery = Delivery.objects.get()
    path = f"/api/deliveries/{delivery.pk}/skip/"

    skipped = call("POST", path, {"reason": "a broken order"}).json()

    assert skipped["delivery"] == delivery.pk
    assert FailedTask.objects.get(pk=skipped["failed_task"]).reason == "SKIPPED"
    again = assert_problem(call("POST", path), 409)
    assert "given up already" in again["detail"]


def test_every_change_is_in_the_audit_without_secrets(call: Call) -> None:
    secret = call("POST", "", {**HOOK, "headers": {"X-Token": "sesame"}}).json()
    call("PATCH", "crm/", {"headers": {"X-Token": "abracadabra"}})
    call("POST", "crm/rotate-secret/")
    call("POST", "crm/pause/")
    call("DELETE", "crm/")

    lines = list(AuditEntry.objects.order_by("pk"))
    assert [line.action for line in lines] == [
        "subscriber.created",
        "subscriber.changed",
        "subscriber.secret_rotated",
        "subscriber.paused",
        "subscriber.deleted",
    ]
    assert {line.actor for line in lines} == {"key manager {}"}
    told = " ".join(line.detail for line in lines)
    for word in ("sesame", "abracadabra", secret["secret"]):
        assert word not in told
