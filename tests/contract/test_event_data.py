"""Data of every type is the same in the log, for a handler, a puller and a webhook."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from router.conf import digest_key
from router.contract.data import DataEncoding
from router.contract.errors import (
    EventConflict,
    EventTooLarge,
    InvalidEvent,
    SchemaViolation,
)
from router.contract.signing import make_secret
from router.models import EventRecord, SigningSecret, Subscriber
from router.public import publish
from router.testing import deliver_due
from router.transports.webhook import event_loop
from tests.contract.steps import a_puller, take
from tests.json_values import TEXT, json_values
from tests.receivers import Declare
from tests.servers.receiving import Receiver

TYPE = "thing.happened"
SECRET = make_secret()
JSON = json_values()
TYPED = st.one_of(
    JSON.map(lambda data: ("application/json", data)),
    JSON.map(lambda data: ("application/ld+json; charset=utf-8", data)),
    TEXT.map(lambda data: ("text/plain", data)),
    st.binary(max_size=200).map(lambda data: ("image/png", data)),
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as first:
        yield first
    event_loop.close()


def posted(received: Any) -> tuple[str, Any]:
    """The type and data of a posted event, as its receiver reads them."""
    event = Webhook(SECRET).verify(received.body, received.headers)
    return event["datacontenttype"], data_of(event)


def data_of(event: dict[str, Any]) -> Any:
    if "data_base64" in event:
        return base64.b64decode(event["data_base64"])
    return event["data"]


@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(typed=TYPED)
def test_the_log_has_the_data_that_was_published(
    transactional_db: None, typed: tuple[str, Any]
) -> None:
    datacontenttype, data = typed
    published = publish(TYPE, data, datacontenttype=datacontenttype)
    event = EventRecord.objects.get(pk=published.number).to_event()
    assert (event.datacontenttype, event.data) == (datacontenttype, data)
    shown = json.loads(json.dumps(event.to_cloudevent()))
    assert data_of(shown) == data


@pytest.mark.parametrize(
    ("datacontenttype", "data"),
    [
        ("application/json", {"a": [1e23, 1e-7, 10**30, "weiß 😀"]}),
        ("application/json", None),
        ("text/plain; charset=utf-8", "weiß"),
        ("application/xml", "<a>ß</a>"),
        ("image/png", b"\x89PNG\x00\xff"),
    ],
)
def test_every_kind_of_subscriber_gets_the_same_data(
    declare: Declare,
    receiver: Receiver,
    settings: Any,
    datacontenttype: str,
    data: object,
) -> None:
    settings.ROUTER = {"WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"]}
    handler, puller = declare(), a_puller()
    webhook = Subscriber.objects.create(
        name="crm",
        transport="webhook",
        url=receiver.url,
        events=[TYPE],
        queue="webhooks",
    )
    SigningSecret.objects.create(subscriber=webhook, secret=SECRET)
    publish(TYPE, data, datacontenttype=datacontenttype)

    deliver_due()

    (pulled,) = take(puller)
    events = [*handler.seen, pulled.event.to_event()]
    assert [event.data for event in events] == [data, data]
    assert {event.datacontenttype for event in events} == {datacontenttype}
    assert [posted(request) for request in receiver.received] == [
        (datacontenttype, data)
    ]


def test_an_event_without_data_differs_from_one_with_null(declare: Declare) -> None:
    receiver = declare()
    publish(TYPE)
    publish(TYPE, None)

    deliver_due()

    assert [event.data for event in receiver.seen] == [None, None]
    assert [event.has_data for event in receiver.seen] == [False, True]
    members = [event.to_cloudevent() for event in receiver.seen]
    assert ["data" in member for member in members] == [False, True]


def test_bytes_without_a_type_are_binary(transactional_db: None) -> None:
    event = publish(TYPE, b"\x00").event
    assert (event.datacontenttype, event.data) == ("application/octet-stream", b"\x00")


def test_bytes_of_json_are_json(transactional_db: None) -> None:
    event = publish(TYPE, b'{"a": 1}', datacontenttype="application/json").event
    assert event.data == {"a": 1}


@pytest.mark.parametrize(
    ("given_", "pointer"),
    [
        ({"data": b"{", "datacontenttype": "application/json"}, "/data"),
        ({"data": b"x", "datacontenttype": "png"}, "/datacontenttype"),
        ({"data": "x", "datacontenttype": "text/plain\n"}, "/datacontenttype"),
        ({"data": "a\x00b", "datacontenttype": "text/plain"}, "/data"),
        ({"data": "\ud83d\ude00"}, "/data"),
        ({"data": {"a": float("inf")}}, "/data"),
    ],
)
def test_data_that_is_not_what_its_type_says_is_refused(
    transactional_db: None, given_: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(InvalidEvent) as caught:
        publish(TYPE, **given_)
    assert [place for place, _ in caught.value.problems] == [pointer]


def test_the_same_id_with_another_type_of_data_is_a_conflict(
    transactional_db: None,
) -> None:
    publish(TYPE, "a", id="1", datacontenttype="text/plain")
    assert not publish(TYPE, "a", id="1", datacontenttype="text/plain").is_new
    with pytest.raises(EventConflict):
        publish(TYPE, "a", id="1", datacontenttype="text/csv")
    with pytest.raises(EventConflict):
        publish(TYPE, "a", id="1")


def test_an_event_that_an_older_release_recorded_is_the_same_again(
    transactional_db: None,
) -> None:
    """It had neither type nor encoding, and its digest was of the ASCII form."""
    body = b'{"a":"\\u00fc","b":1e+300}'
    old = b"\x1f".join([TYPE.encode(), b"", b"", body])
    publish(TYPE, {"a": "ü", "b": 1e300})
    digest = hmac.digest(digest_key(), old, "sha256").hex()
    assert EventRecord.objects.get().digest == digest


def test_size_is_counted_in_utf_8(transactional_db: None) -> None:
    text = "ж" * 360_000
    number = publish(TYPE, text).number
    assert EventRecord.objects.get(pk=number).size_bytes == 720_002
    with pytest.raises(EventTooLarge):
        publish(TYPE, "ж" * 524_288)


@pytest.mark.parametrize("is_too_large", [False, True])
def test_binary_data_counts_as_the_bytes_that_it_has(
    transactional_db: None, is_too_large: bool
) -> None:
    data = b"\xff" * (1024 * 1024 + is_too_large)
    if is_too_large:
        with pytest.raises(EventTooLarge):
            publish(TYPE, data)
    else:
        assert publish(TYPE, data).is_new


def test_large_numbers_take_no_more_room_than_they_were_sent_with(
    transactional_db: None,
) -> None:
    """PostgreSQL would write each of them out, with three hundred zeros."""
    publish(TYPE, [1e300] * 1000)
    record = EventRecord.objects.get()
    assert record.data_encoding == DataEncoding.JSON
    assert record.size_bytes == len(record.data) == 7001
    assert record.to_event().data == [1e300] * 1000


def test_a_schema_is_for_json_alone(
    transactional_db: None, settings: Any, tmp_path: Any
) -> None:
    schema = tmp_path / "thing.json"
    schema.write_text(json.dumps({"$id": "urn:thing:1", "type": "object"}))
    settings.ROUTER = settings.ROUTER | {"SCHEMAS": {TYPE: [schema]}}
    assert publish(TYPE, b"\xff").event.dataschema == ""
    assert publish(TYPE, "x", datacontenttype="text/plain").is_new
    assert publish(TYPE, {}).event.dataschema == "urn:thing:1"
    for refused in ({"data": 7}, {}):
        with pytest.raises(SchemaViolation):
            publish(TYPE, **refused)
    with pytest.raises(SchemaViolation):
        publish(TYPE, 7, datacontenttype="application/vnd.thing+json")


def test_a_webhooks_body_is_utf_8_and_signed_as_sent(
    receiver: Receiver, declare: Declare, settings: Any
) -> None:
    settings.ROUTER = {"WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"]}
    row = Subscriber.objects.create(
        name="crm",
        transport="webhook",
        url=receiver.url,
        events=[TYPE],
        queue="webhooks",
    )
    SigningSecret.objects.create(subscriber=row, secret=SECRET)
    publish(TYPE, {"name": "Жанна"}, subject="Köln")
    deliver_due()
    (received,) = receiver.received
    assert "Жанна".encode() in received.body
    assert "Köln".encode() in received.body
    Webhook(SECRET).verify(received.body, received.headers)
