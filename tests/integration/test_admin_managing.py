"""Webhook and pull subscribers, added, changed, rotated and deleted in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from router.models import (
    AuditEntry,
    DeliveryState,
    SigningSecret,
    Subscriber,
)
from router.operate.subscribers import create_subscriber
from tests.integration.rows import a_delivery, a_subscriber, an_event

pytestmark = pytest.mark.usefixtures("empty_router")

ADD = "/admin/router/subscriber/add/"
FILLED = {
    "name": "crm",
    "transport": "webhook",
    "url": "https://crm.example.com/hooks",
    "events": "purchase.*\nparcel.lost",
    "headers": "X-Token: open sesame",
    "waits_seconds": "5, 300",
}


@pytest.fixture
def chief() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("carla"))
    return client


@pytest.fixture
def crm() -> Subscriber:
    return create_subscriber(
        "crm",
        by="test",
        transport="webhook",
        url=FILLED["url"],
        events=["*"],
        custom_headers={"X-Token": "open sesame"},
    ).subscriber


def page(name: str, subscriber: Subscriber) -> str:
    return reverse(f"admin:router_subscriber_{name}", args=[subscriber.pk])


def secret_in(response: Any) -> str:
    text: str = response.content.decode()
    return text.partition('id="signing-secret">')[2].partition("<")[0]


def test_a_webhook_is_added_and_its_secret_shown_once(chief: Client) -> None:
    response = chief.post(ADD, FILLED)

    crm = Subscriber.objects.get()
    assert secret_in(response) == SigningSecret.objects.get().secret
    assert crm.events == ["purchase.*", "parcel.lost"]
    assert crm.custom_headers == {"X-Token": "open sesame"}
    assert crm.waits_seconds == [5, 300]
    assert AuditEntry.objects.get().actor == "user carla"
    shown = chief.get(page("change", crm)).content.decode()
    assert "X-Token" in shown
    assert "sesame" not in shown
    assert "whsec_" not in shown


def test_the_order_is_chosen_shown_and_kept(chief: Client, crm: Subscriber) -> None:
    edit = {name: FILLED[name] for name in ("transport", "url", "events")}

    chief.post(page("edit", crm), {**edit, "ordering": "key", "on_dead": "skip"})
    chief.post(page("edit", crm), edit)

    crm.refresh_from_db()
    assert (crm.ordering, crm.on_dead) == ("key", "skip")
    shown = chief.get(page("change", crm)).content.decode()
    assert "by key; a key goes on after a failed task" in shown


def test_a_held_delivery_says_what_it_waits_for(chief: Client, crm: Subscriber) -> None:
    Subscriber.objects.update(ordering="key")
    in_line = {"subscriber": crm, "ordering_key": "customer-7"}
    first = a_delivery(an_event(), state="DEAD", **in_line)
    held = a_delivery(an_event(), due_at=None, **in_line)

    own = chief.get(reverse("admin:router_delivery_change", args=[held.pk]))
    event = chief.get(reverse("admin:router_eventrecord_change", args=[held.event_id]))
    listed = chief.get(reverse("admin:router_delivery_changelist"))

    assert f"event {first.event}</a> of the same key, which the router gave up" in (
        own.content.decode()
    )
    assert "customer-7" in own.content.decode()
    assert f"event #{first.event_id}</a>" in event.content.decode()
    assert "</span>Held</span>" in listed.content.decode()


def test_what_a_subscriber_may_receive_is_shown_and_changed(
    chief: Client, crm: Subscriber
) -> None:
    edit = {name: FILLED[name] for name in ("transport", "url", "events")}
    limits = {"allowed_types": "purchase.*\nparcel.*", "allowed_sources": "/shop/*"}

    chief.post(page("edit", crm), {**edit, **limits})
    for _ in range(2):
        crm.refresh_from_db()
        assert crm.allowed_types == ["purchase.*", "parcel.*"]
        assert crm.allowed_sources == ["/shop/*"]
        chief.post(page("edit", crm), edit)  # Left empty they stay.

    shown = chief.get(page("change", crm)).content.decode()
    assert "parcel.*" in shown
    assert "/shop/*" in shown
    beyond = chief.post(page("edit", crm), {**edit, "events": "*"}).content.decode()
    assert "is beyond `allowed_types`: purchase.*, parcel.*" in beyond


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("name", "Not A Name", "lower-case"),
        ("url", "", "required"),
        ("url", "http://127.0.0.1:9100/", ">127.0.0.1 is this machine itself"),
        ("events", "no*pattern", "not an event type"),
        ("filter", "{", "JSON"),
        ("filter", '{"javascript": "true"}', "exact"),
        ("filter", '{"sql": "subject ="}', "at character 10"),
        ("headers", "no colon", "Name: value"),
        ("headers", "X-A: one\nx-a: two", "given twice"),
        ("headers", "X-A: one\nX-A: two", "given twice"),
        ("headers", "Webhook-Id: 7", "router&#x27;s own"),
        ("waits_seconds", "soon", "whole seconds"),
        ("max_failures", "0", "from 1 to 100"),
    ],
)
def test_an_error_is_shown_at_its_field(
    chief: Client, field: str, text: str, message: str
) -> None:
    response = chief.post(ADD, {**FILLED, field: text})

    assert not Subscriber.objects.exists()
    assert message in str(response.context["form"].errors[field])


def test_a_taken_name_is_refused(chief: Client, crm: Subscriber) -> None:
    response = chief.post(ADD, FILLED)

    assert "already" in str(response.context["form"].errors["name"])


@pytest.mark.parametrize(
    ("headers", "kept"),
    [("", {"X-Token": "open sesame"}), ("-", {}), ("X-B: c", {"X-B": "c"})],
)
def test_headers_are_kept_removed_or_replaced(
    chief: Client, crm: Subscriber, headers: str, kept: dict[str, str]
) -> None:
    chief.post(page("edit", crm), {**FILLED, "headers": headers, "title": "The CRM"})

    changed = Subscriber.objects.get()
    assert changed.custom_headers == kept
    assert changed.title == "The CRM"


def test_the_form_never_shows_a_header_again(chief: Client, crm: Subscriber) -> None:
    shown = chief.get(page("edit", crm)).content.decode()
    assert "X-Token" in shown
    assert "sesame" not in shown


def test_rotating_shows_the_new_secret_and_keeps_the_old(
    chief: Client, crm: Subscriber
) -> None:
    old = SigningSecret.objects.get().secret

    response = chief.post(page("rotate", crm))

    live = [signing_secret.secret for signing_secret in SigningSecret.objects.live()]
    assert live == [secret_in(response), old]


def test_deleting_asks_first_and_says_what_is_lost(
    chief: Client, crm: Subscriber
) -> None:
    waiting = a_delivery(an_event(), crm)

    asked = chief.get(page("remove", crm)).content.decode()
    assert "1 waiting" in asked
    assert "never gets" in asked
    assert Subscriber.objects.known().exists()

    chief.post(page("remove", crm))
    assert not Subscriber.objects.known().exists()
    waiting.refresh_from_db()
    assert waiting.state == DeliveryState.CANCELLED


def test_what_code_declares_is_not_changed_here_but_removed_when_its_code_is_gone(
    chief: Client,
) -> None:
    mail = a_subscriber("mail")

    assert chief.get(page("edit", mail)).status_code == 404
    assert page("remove", mail) in chief.get(page("change", mail)).content.decode()
    chief.post(page("remove", mail))
    assert not Subscriber.objects.known().exists()
