"""The form of a target in the admin: the fields of each kind, and its secrets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import reverse

from router.admin.subscriber.managed_form import ManagedForm
from router.models import Subscriber
from router.operate.subscribers import create_subscriber
from router.operate.targets import MANAGED

pytestmark = pytest.mark.usefixtures("empty_router")
URL = "amqps://shop:sesame-7@mq.example.com/orders"
SHOWN = "amqps://…@mq.example.com/orders"
TOPIC = {"bootstrap_servers": "a.example:9092,b.example:9092", "topic": "events"}
QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/a"
KEYS = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "sesame-7"}


def published_to(kind: str, target: dict[str, Any]) -> Subscriber:
    return create_subscriber("bus", by="test", transport=kind, target=target).subscriber


def entered(kind: str, **fields: str) -> dict[str, str]:
    """What a browser sends of the form: the fields of every kind, most left empty."""
    form = ManagedForm()
    sent = {
        field.html_name: str(field.initial or "")
        for group in form.groups()
        for field in group.fields
    }
    own = {f"{kind}-{name}": text for name, text in fields.items()}
    return {**sent, "transport": kind, "events": "*", **own}


@pytest.fixture
def post(admin_client: Client) -> Callable[..., Any]:
    """Send the form: of a new subscriber, or of one that is changed."""

    def send(sent: dict[str, str], row: Subscriber | None = None) -> Any:
        page = (
            reverse("admin:router_subscriber_edit", args=[row.pk])
            if row
            else reverse("admin:router_subscriber_add")
        )
        return admin_client.post(page, sent)

    return send


def problems_at(response: Any, field: str) -> str:
    """What the page has at this field, which its input names as its description."""
    page = response.content.decode()
    _, _, rest = page.partition(f'id="id_{field}_error"')
    return rest.partition("</ul>")[0]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("amqp", {"url": URL, "exchange": "events", "mode": "structured"}),
        (
            "kafka",
            {
                **TOPIC,
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "PLAIN",
                "sasl_username": "shop",
                "sasl_password": "sesame-7",
                "ssl_ca": "-----BEGIN CERTIFICATE-----",
            },
        ),
        ("sqs", {"queue_url": QUEUE, **KEYS}),
        ("sns", {"topic_arn": "arn:aws:sns:eu-west-1:123456789012:a", "profile": "p"}),
        ("pubsub", {"topic": "projects/shop/topics/events"}),
    ],
)
def test_the_form_has_the_fields_of_each_kind_and_shows_no_secret(
    post: Callable[..., Any], admin_client: Client, kind: str, fields: dict[str, str]
) -> None:
    post({**entered(kind, **fields), "name": "bus"})

    row = Subscriber.objects.get(name="bus")
    assert row.whole_target == fields
    edit = reverse("admin:router_subscriber_edit", args=[row.pk])
    page = admin_client.get(edit).content.decode()
    detail = reverse("admin:router_subscriber_change", args=[row.pk])
    for shown in (page, admin_client.get(detail).content.decode()):
        assert "sesame" not in shown
    # What the page shows and the browser sends back changes nothing.
    unchanged = {name: str(value) for name, value in row.target.items() if value != "…"}
    post(entered(kind, **unchanged), row)
    row.refresh_from_db()
    assert row.whole_target == fields


def test_a_secret_is_kept_replaced_or_removed(post: Callable[..., Any]) -> None:
    row = published_to("sqs", {"queue_url": QUEUE, **KEYS})
    own = {"queue_url": QUEUE, "access_key_id": "AKIAEXAMPLE"}

    moved = post(entered("sqs", **{**own, "queue_url": f"{QUEUE}-other"}), row)
    assert "while the address stays" in problems_at(moved, "sqs-secret_access_key")
    alone = post(entered("sqs", **own, **{"secret_access_key-remove": "on"}), row)
    assert "is required" in problems_at(alone, "sqs-secret_access_key")
    row.refresh_from_db()
    assert row.whole_target["secret_access_key"] == "sesame-7"

    post(entered("sqs", **own, secret_access_key="sesame-8"), row)
    row.refresh_from_db()
    assert row.whole_target["secret_access_key"] == "sesame-8"
    removed = {"queue_url": QUEUE, "secret_access_key-remove": "on"}
    post(entered("sqs", **removed), row)
    row.refresh_from_db()
    assert row.whole_target == {"queue_url": QUEUE}


@pytest.mark.parametrize(
    ("kind", "fields", "field", "words"),
    [
        ("amqp", {"url": "https://a.example"}, "url", "Address must be amqp://"),
        ("kafka", {"bootstrap_servers": "a:9092"}, "topic", "Topic is required"),
        (
            "kafka",
            {**TOPIC, "sasl_username": "shop"},
            "security_protocol",
            "must be SASL_SSL",
        ),
        ("kafka", {**TOPIC, "max_message_bytes": "x"}, "max_message_bytes", "whole"),
        ("pubsub", {"credentials": "{"}, "credentials", "valid JSON"),
        ("pubsub", {"credentials": "[1]"}, "credentials", "must be a JSON object"),
    ],
)
def test_what_is_wrong_with_the_form_stands_at_its_field(
    post: Callable[..., Any], kind: str, fields: dict[str, str], field: str, words: str
) -> None:
    for act in ({"name": "bus"}, {"name": "bus", "try_target": "1"}):
        response = post({**entered(kind, **fields), **act})
        assert words in problems_at(response, f"{kind}-{field}")
        assert "Nothing was saved or sent" in response.content.decode()
    assert not Subscriber.objects.exists()


def test_a_subscriber_that_is_no_foreign_router_any_more_has_no_target(
    post: Callable[..., Any],
) -> None:
    row = published_to("amqp", {"url": URL})

    post({**entered("amqp", url=SHOWN), "transport": "pull"}, row)

    row.refresh_from_db()
    assert (row.transport, row.whole_target) == ("pull", {})


def test_each_transport_hides_the_fields_of_the_others() -> None:
    style = finders.find("router/admin.css")
    assert isinstance(style, str)
    rules = Path(style).read_text()

    for each in MANAGED:
        rule = (
            f".fan-form:has(option[value={each}]:checked) "
            f"[data-transport]:not([data-transport~={each}])"
        )
        assert rule in rules
