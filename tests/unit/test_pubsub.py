"""Events as messages of Pub/Sub, its targets, and what its refusals come to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError
from google.oauth2.service_account import Credentials
from google.pubsub_v1.types import PubsubMessage
from pydantic import ValidationError

from router.contract.binding import Message, Mode
from router.contract.event import Event
from router.contract.masking import masked_target, target_secrets
from router.contract.outcomes import FailureKind
from router.transports.pubsub.binding import from_pubsub, to_pubsub
from router.transports.pubsub.client import open_publisher
from router.transports.pubsub.failures import is_of_content, is_of_key, retry_for
from router.transports.pubsub.publisher import Publisher
from router.transports.pubsub.target import PubsubFeed, PubsubTarget

TOPIC = "projects/shop/topics/events"
SILENT, TROUBLED = FailureKind.SILENT, FailureKind.TROUBLED


def an_event(**attributes: Any) -> Event:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    given = {"id": "e1", "source": "/shop", "type": "order.placed", "time": now}
    return Event(**{**given, **attributes})


@pytest.fixture(scope="module")
def key() -> dict[str, Any]:
    """The key of a service account, as Google's console hands it out."""
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": "shop",
        "private_key": private.decode(),
        "client_email": "router@shop.iam.gserviceaccount.com",
        "token_uri": "https://elsewhere.example/token",
    }


def test_attributes_stand_beside_the_data() -> None:
    event = an_event(
        data={"n": 1}, subject="é", partitionkey="k", extensions={"is": True, "of": 7}
    )

    message = to_pubsub(event, Mode.BINARY)

    assert message.data == b'{"n":1}'
    assert message.ordering_key == "k"
    assert dict(message.attributes) == {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": "e1",
        "ce-source": "/shop",
        "ce-type": "order.placed",
        "ce-time": "2026-01-01T00:00:00Z",
        "ce-subject": "é",
        "ce-partitionkey": "k",
        "ce-is": "true",
        "ce-of": "7",
    }


@pytest.mark.parametrize(
    "extensions", [{"note": "é" * 513}, {f"a{n}": n for n in range(100)}]
)
def test_what_does_not_fit_beside_the_data_is_written_structured(
    extensions: dict[str, Any],
) -> None:
    message = to_pubsub(an_event(data=1, extensions=extensions), Mode.BINARY)

    assert list(message.attributes) == ["content-type"]
    assert message.attributes["content-type"].startswith("application/cloudevents+json")


@pytest.mark.parametrize("name", ["content-type", "ce-datacontenttype"])
def test_what_others_send_beside_the_attributes_is_no_attribute(name: str) -> None:
    attributes = {"ce-id": "e1", name: "image/png", "googclient_x": "y"}
    sent = PubsubMessage(data=b"\xff", attributes=attributes, ordering_key="k")

    assert from_pubsub(sent) == Message(
        body=b"\xff", content_type="image/png", attributes={"id": "e1"}, key="k"
    )


def test_the_longest_key_is_an_ordering_key() -> None:
    key = "🐝" * 255

    message = to_pubsub(an_event(partitionkey=key), Mode.BINARY)

    assert message.ordering_key == key
    assert len(key.encode()) <= 1024


def test_a_request_has_at_most_ten_megabytes() -> None:
    publisher = Publisher(PubsubTarget(topic=TOPIC))
    large = publisher.message(an_event(data="x" * 4_000_000))

    assert publisher.take([large] * 3) == 2
    assert publisher.take([publisher.message(an_event())] * 1_001) == 1_000
    with pytest.raises(ValueError, match="Pub/Sub takes 10,000,000"):
        publisher.message(an_event(data="x" * 10_000_000))


@pytest.mark.parametrize(
    ("error", "kind", "name", "remedy"),
    [
        (exceptions.NotFound("Resource not found."), TROUBLED, "NotFound", "Create it"),
        (exceptions.PermissionDenied("No."), TROUBLED, "AccessRefused", "the role"),
        (exceptions.Unauthenticated("No."), TROUBLED, "AccessRefused", "credentials"),
        (exceptions.FailedPrecondition("No."), TROUBLED, "NotReady", "encryption key"),
        (exceptions.ResourceExhausted("Slow."), TROUBLED, "Throttled", "Slow."),
        (exceptions.Aborted("Again."), TROUBLED, "Aborted", ""),
        (exceptions.Cancelled("Ended."), TROUBLED, "Cancelled", ""),
        (exceptions.InternalServerError("Hm."), TROUBLED, "InternalServerError", ""),
        (exceptions.Unknown("Hm."), TROUBLED, "Unknown", ""),
        (exceptions.DeadlineExceeded("Late."), SILENT, "TimedOut", "within 5 s"),
        (exceptions.ServiceUnavailable("Down."), SILENT, "Disconnected", "not known"),
        (DefaultCredentialsError("None."), TROUBLED, "AccessRefused", "`credentials`"),
    ],
)
def test_each_failure_has_its_kind_and_its_remedy(
    error: Exception, kind: FailureKind, name: str, remedy: str
) -> None:
    retry = retry_for(error, 5)

    assert (retry.kind, retry.evidence.kind) == (kind, name)
    assert remedy in retry.evidence.message
    assert not is_of_content(error)
    is_held = name in ("NotFound", "AccessRefused", "NotReady") or kind is SILENT
    assert is_of_key(error) is not is_held


def test_what_has_a_content_that_is_refused_is_of_the_event() -> None:
    assert is_of_content(exceptions.InvalidArgument("Invalid data."))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"topic": "events"}, "must be projects/PROJECT/topics/NAME"),
        ({"endpoint": "https://pubsub.example.com"}, "googleapis.com"),
        ({"endpoint": "https://evil.example/.googleapis.com"}, "googleapis.com"),
        ({"endpoint": "http://localhost"}, "host:port of an emulator"),
        ({"credentials": {"type": "external_account"}}, "key of a service account"),
        ({"credentials": {"type": "service_account"}}, "no client_email"),
        ({"credentials": {"private_key": "sesame-7"}}, "is no PEM"),
        ({"endpoint": "http://localhost:8085", "credentials": {}}, "for an emulator"),
    ],
)
def test_what_is_wrong_with_a_target_is_named(
    fields: dict[str, Any], words: str, key: dict[str, Any]
) -> None:
    if "credentials" in fields and "type" not in fields["credentials"]:
        fields = {**fields, "credentials": {**key, **fields["credentials"]}}

    with pytest.raises(ValidationError, match=words) as caught:
        PubsubTarget.model_validate({"topic": TOPIC, **fields})

    assert "sesame" not in str(caught.value)


def test_what_is_no_subscription_is_named() -> None:
    with pytest.raises(ValidationError, match="projects/PROJECT/subscriptions/NAME"):
        PubsubFeed(subscription=TOPIC)


def test_the_key_of_a_service_account_is_hidden_and_goes_to_google_alone(
    key: dict[str, Any],
) -> None:
    target = {"topic": TOPIC, "credentials": key}

    assert masked_target(target) == {"topic": TOPIC, "credentials": "…"}
    assert key["private_key"] in set(target_secrets(target))
    client = open_publisher(PubsubTarget.model_validate(target))
    credentials = client.transport._credentials
    assert isinstance(credentials, Credentials)
    assert credentials._token_uri == "https://oauth2.googleapis.com/token"
    assert client.transport.host == "pubsub.googleapis.com:443"
    client.transport.close()
