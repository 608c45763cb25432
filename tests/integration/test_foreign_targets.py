"""Targets of foreign routers: checked, kept encrypted, shown masked, for few keys."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import urljoin

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.test import Client

from router.contract.errors import InvalidSubscriber
from router.models import ApiKey, AuditEntry, Scope, Subscriber
from router.operate.subscribers import create_subscriber, edit_subscriber
from router.operate.targets import try_target
from router.testing import deliver_due
from router.transports import kinds
from tests.integration.api import assert_problem
from tests.integration.rows import an_event

pytestmark = pytest.mark.usefixtures("empty_router")
URL = "amqps://shop:sesame-7@mq.example.com/orders"
SHOWN = "amqps://…@mq.example.com/orders"
TOPIC = {"bootstrap_servers": "a.example:9092,b.example:9092", "topic": "events"}
TARGET = {"url": URL, "exchange": "events"}


def published_to(target: dict[str, Any] = TARGET, **fields: Any) -> Subscriber:
    created = create_subscriber(
        "bus", by="test", **{"transport": "amqp", "target": target, **fields}
    )
    return Subscriber.objects.get(pk=created.subscriber.pk)


def call(client: Client, *scopes: str) -> Callable[..., Any]:
    _, text = ApiKey.make("k", scopes=list(scopes))

    def send(method: str, path: str, body: Any) -> Any:
        return client.generic(
            method,
            urljoin("/api/subscribers/", path),
            json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {text}"},
        )

    return send


@pytest.mark.parametrize(
    ("target", "pointer", "words"),
    [
        ({}, "/target/url", "is required"),
        ({"url": "https://a.example"}, "/target/url", "amqp://"),
        ({"url": "amqp://"}, "/target/url", "with a host"),
        ({"url": 7}, "/target/url", "must be a valid string"),
        ({**TARGET, "queue": "q"}, "/target/queue", "is unknown; there are: mode, url"),
        ({**TARGET, "mode": "x"}, "/target/mode", "must be 'binary' or 'structured'"),
        ({**TARGET, "routing_key": "{tipe}"}, "/target/routing_key", "has {tipe}"),
        ({**TARGET, "url": SHOWN}, "/target/url", "in place of a secret"),
        ({**TARGET, "exchange": "a\0b"}, "/target/exchange", "contains the character"),
        ({"url": "amqp://a.example:99999"}, "/target/url", "is from 1 to 65535"),
        ({"url": "amqp://shop:sesame/7@a.example"}, "/target/url", "as %2F"),
        ({"url": "amqp://shop:12/sesame@a.example"}, "/target/url", "as %2F"),
        ({"url": "amqp://shop:sesame#7@a.example"}, "/target/url", "%23"),
    ],
)
def test_what_is_wrong_with_a_target_is_named(
    target: dict[str, Any], pointer: str, words: str
) -> None:
    with pytest.raises(InvalidSubscriber) as caught:
        published_to(target)

    [(place, problem)] = caught.value.problems
    assert place == pointer
    assert words in problem
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "pointer", "words"),
    [
        ({"bootstrap_servers": "a, b"}, "/bootstrap_servers", "must be host:port"),
        ({"bootstrap_servers": "kafka://a:1"}, "/bootstrap_servers", "host:port"),
        ({"topic": "a topic"}, "/topic", "should match pattern"),
        ({"security_protocol": "TLS"}, "/security_protocol", "must be 'PLAINTEXT'"),
        ({"bootstrap_servers": "a:99999"}, "/bootstrap_servers", "is from 1 to 65535"),
        ({"security_protocol": "SASL_SSL"}, "/sasl_mechanism", "is required for"),
        ({"sasl_password": "sesame-7"}, "/security_protocol", "must be SASL_SSL"),
        ({"ssl_ca": "-----BEGIN"}, "/security_protocol", "must be SSL"),
        (
            {"security_protocol": "SSL", "ssl_private_key": "sesame-7"},
            "/ssl_certificate",
            "is required beside `ssl_private_key`",
        ),
        ({"max_message_bytes": 10}, "/max_message_bytes", "greater than or equal"),
    ],
)
def test_what_is_wrong_with_a_topic_of_kafka_is_named(
    fields: dict[str, Any], pointer: str, words: str
) -> None:
    with pytest.raises(InvalidSubscriber) as caught:
        published_to({**TOPIC, **fields}, transport="kafka")

    [(place, problem)] = caught.value.problems
    assert place == f"/target{pointer}"
    assert words in problem
    assert "sesame" not in str(caught.value)


def test_the_password_of_kafka_does_not_follow_to_a_weaker_protocol() -> None:
    target = {
        **TOPIC,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": "shop",
        "sasl_password": "sesame-7",
    }
    row = published_to(target, transport="kafka")
    assert row.target == {**target, "sasl_password": "…"}

    edit_subscriber(row, by="test", target={**row.target, "topic": "others"})
    assert row.whole_target["sasl_password"] == "sesame-7"
    for changed in ({"sasl_mechanism": "PLAIN"}, {"bootstrap_servers": "evil:9092"}):
        with pytest.raises(InvalidSubscriber, match="in place of a secret"):
            edit_subscriber(row, by="test", target={**row.target, **changed})


def test_its_secrets_are_kept_encrypted_and_shown_nowhere() -> None:
    row = published_to()

    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM router_subscriber")
        columns = str(cursor.fetchall())
    assert "sesame" not in columns + str(list(AuditEntry.objects.values()))
    assert row.target == {**TARGET, "url": SHOWN}
    assert row.whole_target == TARGET


def test_the_secret_key_of_aws_is_hidden_and_its_id_is_not() -> None:
    queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/events"
    keys = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "sesame-7"}

    row = published_to({"queue_url": queue, **keys}, transport="sqs")

    assert row.target == {
        "queue_url": queue,
        "access_key_id": "AKIAEXAMPLE",
        "secret_access_key": "…",
    }
    assert row.whole_target["secret_access_key"] == "sesame-7"


def test_what_was_shown_can_be_sent_back_and_only_to_the_same_address() -> None:
    row = published_to()

    edit_subscriber(row, by="test", target={**row.target, "exchange": "others"})

    row.refresh_from_db()
    assert row.whole_target == {"url": URL, "exchange": "others"}
    elsewhere = SHOWN.replace("mq.", "evil.")
    with pytest.raises(InvalidSubscriber, match="in place of a secret"):
        edit_subscriber(row, by="test", target={**row.target, "url": elsewhere})


def test_only_a_key_with_the_scope_names_a_foreign_router(client: Client) -> None:
    published_to()
    manager = call(client, Scope.MANAGE)
    body = {"name": "new", "transport": "amqp", "target": TARGET}

    for refused in (
        manager("POST", "", body),
        manager("PATCH", "bus/", {"target": TARGET}),
    ):
        assert "targets" in assert_problem(refused, 403)["detail"]
    assert manager("PATCH", "bus/", {"title": "The bus"}).status_code == 200


def test_a_target_is_tried_by_a_call_with_the_secrets_that_a_subscriber_keeps(
    client: Client,
) -> None:
    published_to({"url": "amqp://shop:sesame-7@127.0.0.1:1"})
    shown = {"transport": "amqp", "target": {"url": "amqp://…@127.0.0.1:1"}}
    manager = call(client, Scope.MANAGE, Scope.TARGETS)

    tried = manager("POST", "../targets/test/", {**shown, "subscriber": "bus"})
    alone = manager("POST", "../targets/test/", shown)

    assert tried.json()["is_confirmed"] is False
    assert tried.json()["error"].startswith("Disconnected: ")
    assert "sesame" not in tried.content.decode()
    assert assert_problem(alone, 422)["errors"][0]["pointer"] == "/target/url"


@contextmanager
def answering(reply: bytes) -> Iterator[int]:
    """A port that answers the first bytes so, and closes."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1_000)
            self.request.sendall(reply)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("scheme", "reply", "error", "remedy"),
    [
        # As RabbitMQ refuses what is not AMQP.
        ("amqps", b"AMQP\x00\x00\x09\x01", "NotTls: This port does not", "amqp://"),
        # A fatal alert of TLS.
        ("amqp", b"\x15\x03\x03\x00\x02\x02\x46", "Disconnected: ", "amqps://"),
    ],
)
def test_tls_to_the_wrong_port_is_reported_with_what_to_write(
    scheme: str, reply: bytes, error: str, remedy: str
) -> None:
    with answering(reply) as port:
        url = f"{scheme}://shop:sesame-7@127.0.0.1:{port}"
        problem = try_target("amqp", {"url": url}, by="test")

    assert problem is not None
    assert problem.startswith(error)
    assert remedy in problem


def test_a_key_with_the_scope_sees_no_secret_either(client: Client) -> None:
    manager = call(client, Scope.MANAGE, Scope.TARGETS)
    body = {"name": "new", "transport": "amqp", "target": TARGET}

    created = manager("POST", "", body)

    assert created.status_code == 201, created.content
    assert created.json()["target"] == {**TARGET, "url": SHOWN}
    assert "secret" not in created.json()
    wrong = manager("POST", "", {**body, "name": "other", "target": {"url": "x"}})
    assert assert_problem(wrong, 422)["errors"][0]["pointer"] == "/target/url"


@pytest.mark.parametrize(
    ("patterns", "is_owed"),
    [(["*"], False), (["router.*"], True), (["router.failed_task.opened"], True)],
)
def test_the_routers_own_events_leave_only_where_a_pattern_names_them(
    patterns: list[str], is_owed: bool
) -> None:
    row = published_to(events=patterns)

    assert row.asks_for("router.failed_task.opened") is is_owed
    assert row.asks_for("purchase.completed") is (patterns == ["*"])


def test_a_missing_library_is_a_check_and_holds_the_events(
    monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    row = published_to()
    monkeypatch.setattr(kinds, "find_spec", lambda name: None)
    an_event(is_routed=False)
    an_event(is_routed=False)

    messages = [
        each for each in run_checks(databases=["default"]) if each.id == "router.W029"
    ]
    deliver_due()

    [message] = messages
    assert "pip install 'django-fanfare[amqp]'" in (message.hint or "")
    row.refresh_from_db()
    [error] = {attempt.error for attempt in row_attempts(row)}
    assert error.startswith("MissingExtra: RabbitMQ needs a library: pip install")


def row_attempts(row: Subscriber) -> Any:
    attempts: list[Any] = []
    for delivery in row.deliveries.all():
        attempts += delivery.attempt_log.all()
    return attempts
