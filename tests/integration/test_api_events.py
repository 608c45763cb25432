from __future__ import annotations

import json
from typing import Any

import pytest

from router.conf import conf
from router.models import EventRecord
from tests.integration.api import Post, an_envelope, assert_problem

pytestmark = pytest.mark.django_db


def test_an_event_is_recorded_and_its_number_returned(post: Post) -> None:
    response = post(
        an_envelope(
            subject="parcel-7",
            time="2026-02-03T04:05:06.789Z",
            partitionkey="customer-1",
            datacontenttype="application/json",
            tenant="north",
        )
    )
    record = EventRecord.objects.get()
    assert response.status_code == 202
    assert json.loads(response.content) == {
        "number": record.number,
        "id": "a-1",
        "source": "/partner",
        "status": 202,
    }
    assert record.to_event().to_cloudevent() | {"traceparent": ""} == {
        "specversion": "1.0",
        "id": "a-1",
        "source": "/partner",
        "type": "parcel.lost",
        "time": "2026-02-03T04:05:06.789000Z",
        "subject": "parcel-7",
        "partitionkey": "customer-1",
        "datacontenttype": "application/json",
        "traceparent": "",
        "tenant": "north",
        "data": {"parcel": 7},
    }


def test_the_same_event_again_is_the_same_event(post: Post) -> None:
    first, second = post(an_envelope()), post(an_envelope())
    number = json.loads(first.content)["number"]
    assert (first.status_code, second.status_code) == (202, 200)
    assert json.loads(second.content)["number"] == number
    assert EventRecord.objects.count() == 1


def test_the_same_id_with_another_body_is_a_conflict(post: Post) -> None:
    post(an_envelope())
    assert_problem(post(an_envelope(data={"parcel": 8})), 409)
    assert EventRecord.objects.get().data == {"parcel": 7}


@pytest.mark.parametrize(
    ("attributes", "pointer"),
    [
        # Each required attribute must be there: none is made up.
        ({"id": None}, "/id"),
        ({"source": None}, "/source"),
        ({"type": None}, "/type"),
        ({"specversion": None}, "/specversion"),
        # Only version 1.0 is spoken.
        ({"specversion": "0.3"}, "/specversion"),
        # Attributes are text.
        ({"id": 7}, "/id"),
        ({"source": ["/partner"]}, "/source"),
        ({"subject": {"a": 1}}, "/subject"),
        ({"partitionkey": 7}, "/partitionkey"),
        ({"traceparent": ["00"]}, "/traceparent"),
        ({"traceparent": 7}, "/traceparent"),
        # Text that would break the log's columns.
        ({"id": "x" * 256}, "/id"),
        ({"id": ""}, "/id"),
        ({"id": "a\nb"}, "/id"),
        ({"id": "\ud800"}, "/id"),
        ({"type": ""}, "/type"),
        ({"source": ""}, "/source"),
        # Times have a zone, and exist.
        ({"time": "2026-02-03T04:05:06"}, "/time"),
        ({"time": "2026-02-30T04:05:06Z"}, "/time"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "/time"),
        ({"time": 1_770_000_000}, "/time"),
        # An event has its data once.
        ({"data_base64": "AAAA"}, "/data_base64"),
        ({"datacontenttype": 7}, "/datacontenttype"),
        ({"datacontenttype": ""}, "/datacontenttype"),
        ({"datacontenttype": "json"}, "/datacontenttype"),
        ({"datacontenttype": "text/plain\r\nx: y"}, "/datacontenttype"),
        ({"data": "\u0000"}, "/data"),
        ({"data": {"deep": ["\ud800"]}}, "/data"),
        # Extension attributes have plain names and plain values.
        ({"Tenant_Id": "north"}, "/Tenant_Id"),
        ({"tenant": {"id": "north"}}, "/tenant"),
        ({"tenant": 1.5}, "/tenant"),
        # Nobody speaks in the router's name.
        ({"source": "/router"}, "/source"),
    ],
)
def test_a_wrong_attribute_is_pointed_at(
    post: Post, attributes: dict[str, Any], pointer: str
) -> None:
    body = assert_problem(post(an_envelope(**attributes)), 422)
    assert pointer in [error["pointer"] for error in body["errors"]]
    assert not EventRecord.objects.exists()


def test_data_that_breaks_its_schema_is_pointed_at(
    post: Post, settings: Any, tmp_path: Any
) -> None:
    schema = tmp_path / "parcel.json"
    schema.write_text(
        json.dumps(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$id": "urn:test:parcel.lost:1",
                "properties": {"parcels": {"items": {"type": "integer"}}},
            }
        )
    )
    settings.ROUTER = settings.ROUTER | {"SCHEMAS": {"parcel.lost": [schema]}}
    body = assert_problem(post(an_envelope(data={"parcels": [1, "two"]})), 422)
    assert [error["pointer"] for error in body["errors"]] == ["/data/parcels/1"]
    assert not EventRecord.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        "{",  # It ends too early.
        b"\xff{}",  # It is not UTF-8.
        '{"data": NaN}',  # JSON knows no NaN.
        "[" * 100_000,  # It is nested too deeply to be read.
    ],
)
def test_a_body_that_is_not_json_is_refused(post: Post, body: Any) -> None:
    assert_problem(post(body), 400)


@pytest.mark.parametrize(
    "body",
    ["[]", "7", '"text"', "{}", "null"],  # JSON, and no event.
)
def test_a_body_that_is_no_event_is_refused(post: Post, body: str) -> None:
    assert_problem(post(body), 422)


@pytest.mark.parametrize(
    ("depth", "status"),
    [
        (100, 202),  # As deep as the log takes.
        (101, 422),
        (500, 422),  # A good part of what can be read.
    ],
)
def test_data_is_nested_no_deeper_than_every_reader_can_follow(
    post: Post, depth: int, status: int
) -> None:
    data: list[Any] = []
    for _ in range(depth - 1):
        data = [data]
    assert post(an_envelope(data=data)).status_code == status


def test_an_event_without_data_is_an_event(post: Post) -> None:
    assert post(an_envelope(data=None)).status_code == 202


def test_characters_outside_the_basic_plane_are_kept(post: Post) -> None:
    post(an_envelope(data="a \\ud83d and \U0001f3ba"))
    assert EventRecord.objects.get().data == "a \\ud83d and \U0001f3ba"


def test_64_kibibytes_pass(post: Post) -> None:
    assert post(an_envelope(data="x" * 65_536)).status_code == 202


def test_a_body_above_a_mebibyte_is_too_large(post: Post) -> None:
    assert_problem(post(an_envelope(data="x" * 1024 * 1024)), 413)


def test_a_body_far_above_the_limit_is_not_read(post: Post) -> None:
    assert_problem(post("x" * (conf().max_event_bytes * 7)), 413)
