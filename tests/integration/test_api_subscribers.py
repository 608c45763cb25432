"""Subscribers created, changed and deleted over HTTP."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from router.flow.cancel import cancel_owed_to_deleted
from router.flow.route.routing import route_batch
from router.models import (
    Delivery,
    DeliveryState,
    FailedTask,
    FailedTaskState,
    SigningSecret,
    Subscriber,
)
from router.operate import switch_ordering
from router.public import publish
from tests.integration.api import ERP, HOOK, Call, assert_problem, pointers, the
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event

pytestmark = pytest.mark.usefixtures("empty_router")


def test_a_pull_subscriber_is_made_and_owed_what_comes(call: Call) -> None:
    made = call("POST", "subscribers/", ERP)

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
    secret = call("POST", "subscribers/", HOOK).json()["secret"]

    assert secret.startswith("whsec_")
    assert secret not in call("GET", "subscribers/crm/").content.decode()
    assert SigningSecret.objects.get().secret == secret
    kept = SigningSecret.objects.extra(select={"raw": "secret"}).get()
    assert secret not in kept.raw


def test_custom_headers_are_kept_encrypted_and_shown_by_name_only(call: Call) -> None:
    headers = {"X-Token": "open sesame"}

    shown = call("POST", "subscribers/", {**HOOK, "headers": headers})

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
        ({"filter": {"exact": {"data": "x"}}}, "/filter/exact"),
        ({"filter": {"exact": {"data.a/b": 7}}}, "/filter/exact/data.a~1b"),
        ({"filter": {"exact": {"data..b": "x"}}}, "/filter/exact"),
        ({"filter": {"sql": "subject LIKE 7"}}, "/filter/sql"),
        ({"filter": {"not": {"sql": "LEN(subject) = 1"}}}, "/filter/not/sql"),
        ({"filter": {"sql": 7}}, "/filter/sql"),
        ({"filter": {"javascript": "true"}}, "/filter"),
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
        ({"ordering": "subject"}, "/ordering"),
        ({"on_dead": "stop"}, "/on_dead"),
        ({"from": "yesterday"}, "/from"),
        ({"from": {"position": 10**20}}, "/from"),
        ({"from": {"time": "2026-02-30"}}, "/from"),
        ({"title": "a" * 100 + " " * 21}, "/title"),
        # A misspelt field is told, not passed over.
        ({"evnets": ["*"]}, "/evnets"),
    ],
)
def test_an_error_names_its_field_by_its_pointer(
    call: Call, wrong: dict[str, Any], pointer: str
) -> None:
    assert pointer in pointers(call("POST", "subscribers/", {**ERP, **wrong}))
    assert not Subscriber.objects.exists()


def test_the_order_is_set_and_a_held_delivery_says_what_it_waits_for(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = call("POST", "subscribers/", {**ERP, "ordering": "key"}).json()
    assert (made["ordering"], made["on_dead"]) == ("key", "hold")
    numbers = [
        publish("ticket.sold", {}, source="/test", partitionkey="k").number
        for _ in range(2)
    ]
    route_batch()

    first, second = (
        call("GET", f"events/{number}/").json()["deliveries"][0] for number in numbers
    )
    assert (first["waits_for"], second["waits_for"]) == (None, numbers[0])
    assert first["due_at"]
    assert second["due_at"] is None

    changed = call("PATCH", "subscribers/erp/", {"ordering": "none"}).json()
    assert changed["ordering"] == "none"
    assert not Delivery.objects.held().exists()
    monkeypatch.setattr(switch_ordering, "MAX_OPEN", 1)
    refused = call("PATCH", "subscribers/erp/", {"ordering": "key"})
    assert pointers(refused) == ["/ordering"]
    assert Subscriber.objects.get().ordering == "none"


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
    assert call("POST", "subscribers/", {**HOOK, "url": given}).json()["url"] == kept
    call("PATCH", "subscribers/crm/", {"url": "https://crm.example.com/"})
    assert call("PATCH", "subscribers/crm/", {"url": given}).json()["url"] == kept


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

    made = call("POST", "subscribers/", {**HOOK, "url": "http://erp.example/hooks"})

    assert made.status_code == status
    assert not any(address in made.content.decode() for address in answers)
    if status == 422:
        assert pointers(made) == ["/url"]
        assert call("POST", "subscribers/", HOOK).status_code == 201
        changed = call("PATCH", "subscribers/crm/", {"url": "http://erp.example/hooks"})
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


def test_a_body_that_is_no_object_is_refused(call: Call) -> None:
    assert_problem(call("POST", "subscribers/", [ERP]), 422)


def test_a_taken_name_is_a_conflict_until_its_subscriber_is_deleted(call: Call) -> None:
    call("POST", "subscribers/", ERP)

    assert_problem(call("POST", "subscribers/", ERP), 409)
    assert call("DELETE", "subscribers/erp/").status_code == 204
    assert call("POST", "subscribers/", ERP).status_code == 201


def test_the_list_shows_the_newest_first_in_pages(call: Call) -> None:
    for name in ("a", "b", "c"):
        call("POST", "subscribers/", {**ERP, "name": name})

    first = call("GET", "subscribers/?page_size=2").json()
    rest = call("GET", f"subscribers/?page_size=2&cursor={first['next']}").json()

    assert [row["name"] for row in first["results"]] == ["c", "b"]
    assert [row["name"] for row in rest["results"]] == ["a"]
    assert rest["next"] is None


def test_a_change_holds_for_what_is_routed_from_now_on(call: Call) -> None:
    call("POST", "subscribers/", ERP)
    publish("ticket.sold", {}, source="/test")
    route_batch()

    changed = call(
        "PATCH", "subscribers/erp/", {"events": ["parcel.*"], "title": "The books"}
    )

    assert changed.json()["events"] == ["parcel.*"]
    publish("ticket.sold", {}, source="/test")
    publish("parcel.lost", {}, source="/test")
    route_batch()
    types = Delivery.objects.order_by("pk").values_list("event__type", flat=True)
    assert list(types) == ["ticket.sold", "parcel.lost"]


def test_a_filter_chooses_by_attributes(call: Call) -> None:
    call("POST", "subscribers/", {**ERP, "filter": {"prefix": {"subject": "vip-"}}})

    publish("ticket.sold", {}, source="/test", subject="vip-7")
    publish("ticket.sold", {}, source="/test", subject="order-7")
    publish("ticket.sold", {}, source="/test")
    route_batch()

    assert Delivery.objects.get().event.subject == "vip-7"


def test_a_filter_that_breaks_loses_nothing_and_holds_up_nobody(call: Call) -> None:
    call("POST", "subscribers/", ERP)
    call("POST", "subscribers/", {**ERP, "name": "crm"})
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
    call("POST", "subscribers/", ERP)
    leased = a_delivery(
        an_event(), the("erp"), "LEASED", lease_token="0" * 32, dispatch_count=1
    )

    assert pointers(call("PATCH", "subscribers/erp/", {"transport": "webhook"})) == [
        "/url"
    ]
    turned = call(
        "PATCH", "subscribers/erp/", {"transport": "webhook", "url": HOOK["url"]}
    )

    assert turned.json()["secret"].startswith("whsec_")
    leased.refresh_from_db()
    assert (leased.state, leased.lease_token) == (DeliveryState.PENDING, None)
    assert the("erp").queue == "webhooks"
    response = call("PATCH", "subscribers/erp/", {"transport": "pull"})
    assert "secret" not in response.json()
    assert the("erp").queue == "default"


def test_deleting_cancels_what_is_owed_and_keeps_what_was_done(call: Call) -> None:
    call("POST", "subscribers/", ERP)
    erp = the("erp")
    waiting = a_delivery(an_event(), erp)
    working = a_delivery(an_event(), erp, "LEASED", lease_token="0" * 32)
    done = a_delivery(an_event(), erp, "ACKNOWLEDGED")
    dead = a_delivery(an_event(), erp, "DEAD")
    task = a_failed_task(dead)

    assert call("DELETE", "subscribers/erp/").status_code == 204

    states = dict(Delivery.objects.values_list("pk", "state"))
    assert states[done.pk] == DeliveryState.ACKNOWLEDGED
    assert {states[each.pk] for each in (waiting, working, dead)} == {
        DeliveryState.CANCELLED
    }
    task.refresh_from_db()
    assert task.state == FailedTaskState.DISCARDED


def test_a_deleted_subscriber_is_owed_nothing_more(call: Call) -> None:
    call("POST", "subscribers/", ERP)
    call("DELETE", "subscribers/erp/")

    publish("ticket.sold", {}, source="/test")
    route_batch()

    assert not Delivery.objects.exists()
    assert_problem(call("GET", "subscribers/erp/"), 404)


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
        "code"
        in assert_problem(call("PATCH", "subscribers/mail/", {"title": "x"}), 409)[
            "detail"
        ]
    )
