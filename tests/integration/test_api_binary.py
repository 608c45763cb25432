"""CloudEvents in binary mode: the envelope in headers, the data in the body."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from router.models import EventRecord
from tests.integration.api import assert_problem

pytestmark = pytest.mark.django_db

HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "a-1",
    "ce-source": "/partner",
    "ce-type": "parcel.lost",
}
Send = Callable[..., Any]


@pytest.fixture
def send(client: Client, key: str) -> Send:
    """`send(body, content_type=…, **headers)`; None leaves a header out."""

    def post(
        body: Any, *, content_type: str = "application/json", **changes: str | None
    ) -> Any:
        named = {f"ce-{name}": value for name, value in changes.items()}
        headers = {**HEADERS, **named, "Authorization": f"Bearer {key}"}
        if not body:
            # As every client says it; Django's own for tests does not.
            headers["Content-Length"] = "0"
        return client.post(
            "/api/events/",
            body if isinstance(body, str | bytes) else json.dumps(body),
            content_type=content_type,
            headers={name: text for name, text in headers.items() if text is not None},
        )

    return post


def test_an_event_in_headers_is_recorded(send: Send) -> None:
    response = send(
        {"parcel": 7},
        time="2026-02-03T04:05:06Z",
        subject="parcel-7",
        partitionkey="customer-1",
        tenant="north",
    )
    record = EventRecord.objects.get()
    assert response.status_code == 202
    assert response.json() == {
        "number": record.number,
        "id": "a-1",
        "source": "/partner",
        "status": 202,
    }
    envelope = record.to_event().to_cloudevent()
    assert (envelope["subject"], envelope["partitionkey"]) == ("parcel-7", "customer-1")
    assert (envelope["tenant"], envelope["data"]) == ("north", {"parcel": 7})
    assert envelope["time"] == "2026-02-03T04:05:06Z"


def test_both_modes_name_the_same_event(send: Send) -> None:
    first = send({"parcel": 7})
    structured = json.dumps(
        {name[3:]: value for name, value in HEADERS.items()} | {"data": {"parcel": 7}}
    )
    response = send(structured, content_type="application/cloudevents+json")
    assert (first.status_code, response.status_code) == (202, 200)
    assert first.json()["number"] == response.json()["number"]


@pytest.mark.parametrize(
    ("value", "decoded"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),  # The binding's own example.
        ("100%25", "100%"),
        ("%2541", "%41"),  # One round only.
        ('"a \\"quoted\\" text"', 'a "quoted" text'),  # Earlier versions' way.
        ("%e2%82%ac", "€"),  # Lower case.
        ("%61%2F~", "a/~"),  # Encoded without need.
        ('"Euro%20%E2%82%AC"', "Euro €"),  # Quotes first, one round of percent then.
        ('say "hi"', 'say "hi"'),  # Not quoted as a whole.
        ("a, b", "a, b"),
        ("a+b", "a+b"),  # A plus is no space here.
    ],
)
def test_a_header_is_decoded_as_the_binding_says(
    send: Send, value: str, decoded: str
) -> None:
    assert send({}, subject=value).status_code == 202
    assert EventRecord.objects.get().subject == decoded


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"id": None}, "/id"),
        ({"specversion": None}, "/specversion"),
        ({"specversion": "0.3"}, "/specversion"),
        ({"subject": "%ff"}, "/subject"),  # No UTF-8.
        ({"subject": "%00"}, "/subject"),
        ({"subject": "%C0%A0"}, "/subject"),  # Overlong.
        ({"subject": "%ED%A0%80"}, "/subject"),  # Half of a surrogate pair.
        ({"subject": "%F4%90%80%80"}, "/subject"),  # Beyond Unicode.
        ({"subject": "%E2%82"}, "/subject"),  # It ends too early.
        ({"subject": "%EF%BF%BE"}, "/subject"),  # A noncharacter.
        ({"subject": "%zz"}, "/subject"),
        ({"subject": "100%"}, "/subject"),
        ({"subject": "K\xf6ln"}, "/subject"),  # Latin-1, as it came.
        ({"subject": "K\xc3\xb6ln"}, "/subject"),  # UTF-8, as it came.
        ({"subject": "a\tb"}, "/subject"),
        # What this web server hands over for a header that is not ASCII.
        ({"subject": ""}, "/subject"),
        ({"tenant": ""}, "/tenant"),
        ({"tenant": "\xff"}, "/tenant"),
        ({"id": ""}, "/id"),
        ({"": "x"}, "/"),
        ({"source": "/a%20b"}, "/source"),  # Decoded, it is no URI reference.
        ({"time": "2026-02-03T04%3A05%3A06"}, "/time"),
        ({"type": "router.failed_task.opened"}, "/type"),
        ({"partitionkey": "%85"}, "/partitionkey"),
        ({"time": "yesterday"}, "/time"),
        ({"type": "parcel%0Alost"}, "/type"),
        ({"foo-bar": "x"}, "/foo_bar"),  # No name of an attribute.
        ({"data": "x"}, "/data"),
        ({"data_base64": "eA=="}, "/data_base64"),
        ({"datacontenttype": "text/xml"}, "/datacontenttype"),
        ({"source": "/router"}, "/source"),
    ],
)
def test_a_wrong_header_is_pointed_at(
    send: Send, changes: dict[str, str | None], pointer: str
) -> None:
    body = assert_problem(send({}, **changes), 422)
    assert pointer in [error["pointer"] for error in body["errors"]]
    assert not EventRecord.objects.exists()


def test_an_empty_body_is_an_event_without_data(send: Send) -> None:
    assert send(b"", content_type="").status_code == 202
    assert EventRecord.objects.get().data is None


@pytest.mark.parametrize("body", ["{", b"\xff", "NaN"])
def test_a_body_that_is_not_json_is_refused(send: Send, body: Any) -> None:
    assert_problem(send(body), 400)


@pytest.mark.parametrize("content_type", ["application/cloudevents+xml", "text/plain"])
def test_a_refusal_of_what_is_no_event_names_the_modes(
    send: Send, content_type: str
) -> None:
    left_out = {name[3:]: None for name in HEADERS}
    response = send("<parcel/>", content_type=content_type, **left_out)
    assert_problem(response, 415)
    assert "application/cloudevents+json" in response["Accept-Post"]


@pytest.mark.parametrize(
    ("size", "status"), [(65_536, 202), (1024 * 1024, 202), (1024 * 1024 + 1, 413)]
)
def test_the_data_may_have_a_mebibyte(send: Send, size: int, status: int) -> None:
    assert send(json.dumps("x" * (size - 2))).status_code == status
