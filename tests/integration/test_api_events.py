from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from router.conf import conf
from router.models import ApiKey, EventRecord, Scope

pytestmark = pytest.mark.django_db

STRUCTURED = "application/cloudevents+json"
Post = Callable[..., Any]


def an_envelope(**attributes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "a-1",
        "source": "/partner",
        "type": "parcel.lost",
        "data": {"parcel": 7},
        **attributes,
    }


@pytest.fixture
def key() -> str:
    return ApiKey.make("partner", scopes=[Scope.PUBLISH])[1]


@pytest.fixture
def post(client: Client, key: str) -> Post:
    def send(body: Any, content_type: str = STRUCTURED) -> Any:
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        return client.post(
            "/api/events/",
            text,
            content_type=content_type,
            headers={"Authorization": f"Bearer {key}"},
        )

    return send


def assert_problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    return body


def test_an_event_is_recorded_and_its_number_told(post: Post) -> None:
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
    first, again = post(an_envelope()), post(an_envelope())
    number = json.loads(first.content)["number"]
    assert (first.status_code, again.status_code) == (202, 200)
    assert json.loads(again.content)["number"] == number
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
        # Text that would break the log's columns.
        ({"id": "x" * 256}, "/id"),
        ({"id": ""}, "/id"),
        ({"id": "a\nb"}, "/id"),
        ({"id": "\ud800"}, "/id"),
        # The type must be words joined by dots.
        ({"type": "Parcel Lost"}, "/type"),
        # Times have a zone, and exist.
        ({"time": "2026-02-03T04:05:06"}, "/time"),
        ({"time": "2026-02-30T04:05:06Z"}, "/time"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "/time"),
        ({"time": 1_770_000_000}, "/time"),
        # Only JSON is kept.
        ({"data_base64": "AAAA"}, "/data_base64"),
        ({"datacontenttype": "text/xml"}, "/datacontenttype"),
        ({"datacontenttype": 7}, "/datacontenttype"),
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
        '{"data": ' + "9" * 5000 + "}",  # A number that nobody can hold.
        "[" * 100_000,  # It is nested too deeply to be read.
    ],
)
def test_a_body_that_is_not_json_is_refused(post: Post, body: Any) -> None:
    assert_problem(post(body), 400)


@pytest.mark.parametrize(
    "body",
    ["[]", "7", '"text"', "{}", "", "null"],  # JSON, and no event.
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
    assert_problem(post("x" * (conf().max_event_bytes * 4)), 413)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",  # Might be anything.
        "application/cloudevents-batch+json",  # Not spoken yet.
        "text/plain",
        "multipart/form-data; boundary=x",
    ],
)
def test_another_content_type_is_told_which_is_taken(
    post: Post, content_type: str
) -> None:
    response = post("{}", content_type)
    assert STRUCTURED in assert_problem(response, 415)["detail"]
    assert response["Accept-Post"] == STRUCTURED


def test_a_charset_beside_the_content_type_does_no_harm(post: Post) -> None:
    assert post(an_envelope(), f"{STRUCTURED}; charset=utf-8").status_code == 202


@pytest.mark.parametrize(
    "authorization",
    [
        "",  # Nothing is said.
        "Bearer",  # The key is missing.
        "Bearer fanfare_guess",  # Nobody has this key.
        "Bearer \xe9\xff",  # Not even ASCII.
        "Basic cGFydG5lcjpzZWNyZXQ=",  # Another scheme.
    ],
)
def test_without_a_known_key_nobody_comes_in(
    client: Client, authorization: str
) -> None:
    response = client.post(
        "/api/events/",
        json.dumps(an_envelope()),
        content_type=STRUCTURED,
        headers={"Authorization": authorization},
    )
    assert_problem(response, 401)
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert not EventRecord.objects.exists()


def test_a_revoked_key_is_refused(post: Post) -> None:
    assert post(an_envelope()).status_code == 202
    ApiKey.objects.update(revoked_at=timezone.now())
    assert_problem(post(an_envelope(id="a-2")), 401)


def test_a_key_without_the_scope_is_refused(post: Post) -> None:
    ApiKey.objects.update(scopes=[Scope.MANAGE])
    assert "publish" in assert_problem(post(an_envelope()), 403)["detail"]


def test_the_use_of_a_key_is_noted_at_most_once_a_minute(post: Post) -> None:
    post(an_envelope())
    noted = ApiKey.objects.get().last_used_at
    assert noted
    post(an_envelope(id="a-2"))
    assert ApiKey.objects.get().last_used_at == noted
    long_ago = noted - timedelta(minutes=2)
    ApiKey.objects.update(last_used_at=long_ago)
    post(an_envelope(id="a-3"))
    assert ApiKey.objects.get().last_used_at != long_ago


def test_another_method_is_told_which_is_taken(client: Client, key: str) -> None:
    response = client.get("/api/events/", headers={"Authorization": f"Bearer {key}"})
    assert_problem(response, 405)
    assert "POST" in response["Allow"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/api/"),
        ("post", "/api/nothing/"),
        ("delete", "/api/events/7"),
        ("post", "/api/events"),  # The slash is missing; no redirect loses the body.
    ],
)
def test_an_unknown_path_is_a_problem_too(
    client: Client, method: str, path: str
) -> None:
    assert_problem(getattr(client, method)(path), 404)


def test_while_the_database_is_away_the_publisher_is_told_to_come_again(
    post: Post,
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("server closed the connection")

    with connection.execute_wrapper(away):
        response = post(an_envelope())
    assert "server closed" not in assert_problem(response, 503)["detail"]
    assert response["Retry-After"]
