"""Every refusal of the API says what is wrong, and how to put it right."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.test import Client

from router.api.http.problems import sentence
from router.models import ApiKey, Scope
from router.operate.subscribers import create_subscriber
from router.operate.targets import MANAGED
from tests.integration.api import STRUCTURED, a_key, an_envelope, assert_problem, send

pytestmark = pytest.mark.usefixtures("empty_router")
JSON = "application/json"


@pytest.fixture
def key(db: None) -> str:
    create_subscriber("erp", by="test", transport="pull")
    create_subscriber(
        "crm", by="test", transport="webhook", url="https://crm.example.com/"
    )
    return a_key()


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        ("", "needs an API key"),  # Nothing is said.
        ("Bearer", "has no key"),
        ("Basic cGFydG5lcjpzZWNyZXQ=", "has no key"),
        ("Token abc", "has no key"),
        ("fanfare_abc", "has no key"),  # The scheme is forgotten.
        ("Bearer fanfare_guess", "is not known"),
        ("Bearer \xe9\xff", "is not known"),  # Not even ASCII.
    ],
)
@pytest.mark.parametrize("path", ["events/", "subscribers/", "failed-tasks/"])
def test_a_refusal_says_how_to_send_a_key(
    client: Client, key: str, authorization: str, message: str, path: str
) -> None:
    response = client.get(f"/api/{path}", headers={"Authorization": authorization})
    detail = assert_problem(response, 401)["detail"]
    assert message in detail
    assert "`Authorization: Bearer <API key>`" in detail
    assert response["WWW-Authenticate"].startswith("Bearer")


#: Method, path, body, status → each pointer and its words.
TRANSPORTS = ", ".join(f"`{name}`" for name in MANAGED)
WRONG: list[tuple[str, str, Any, dict[str, str]]] = [
    (
        "POST",
        "subscribers/",
        {"name": "new", "transport": "kafka"},
        {
            "/target/bootstrap_servers": "is required.",
            "/target/topic": "is required.",
        },
    ),
    (
        "POST",
        "subscribers/",
        {"name": "new", "transport": "pigeon"},
        {"/transport": f"must be one of: {TRANSPORTS}."},
    ),
    (
        "POST",
        "subscribers/",
        {},
        {"/name": "is required.", "/transport": "is required."},
    ),
    (
        "PATCH",
        "subscribers/crm/",
        {"headers": [1], "events": {}, "waits_seconds": 5, "max_failures": "4"},
        {
            "/headers": "must be a JSON object, not a list.",
            "/events": "must be a list, not an object.",
            "/waits_seconds": "must be a list, not a number.",
            "/max_failures": "must be a whole number.",
        },
    ),
    (
        "PATCH",
        "subscribers/crm/",
        {"max_failures": 0, "waits_seconds": [5, -1], "in_flight_limit": 10**6},
        {
            "/max_failures": "must be from 1 to 100.",
            "/waits_seconds/1": "must be from 0 to 86,400.",
            "/in_flight_limit": "must be from 1 to 1,000.",
        },
    ),
    (
        "PATCH",
        "subscribers/crm/",
        {"title": 7, "max_failures": True, "rate_per_second": "fast"},
        {
            "/title": "must be a text.",
            "/max_failures": "must be a whole number.",
            "/rate_per_second": "must be a number.",
        },
    ),
    (
        "POST",
        "subscribers/erp/pull/",
        {"max": 1001, "wait_seconds": -1, "lease_seconds": 601},
        {
            "/max": "must be from 1 to 1,000.",
            "/wait_seconds": "must be at least 0.",
            "/lease_seconds": "must be above 0 and at most 600; extend the lease as "
            "you work.",
        },
    ),
    (
        "POST",
        "deliveries/ack/",
        {"deliveries": [7, {"id": None, "lease_token": 7}]},
        {
            "/deliveries/0": "must be a JSON object, not a number.",
            "/deliveries/1/id": "must not be null.",
            "/deliveries/1/lease_token": "must be a text.",
        },
    ),
    (
        "POST",
        "subscribers/crm/rotate-secret/",
        {"overlap": 0},
        {"/overlap": "is not known; known are: reason, overlap_seconds, "
         "end_old_secrets."},
    ),
    (
        "POST",
        "subscribers/crm/rotate-secret/",
        {"overlap_seconds": 10**9, "end_old_secrets": "yes"},
        {
            "/overlap_seconds": "must be from 0 to 2,592,000.",
            "/end_old_secrets": "must be true or false.",
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "errors"), WRONG)
def test_a_refusal_says_in_plain_words_what_is_wrong_in_a_body(
    client: Client, key: str, method: str, path: str, body: Any, errors: Any
) -> None:
    problem = assert_problem(send(client, method, path, body, key=key), 422)
    assert {error["pointer"]: error["detail"] for error in problem["errors"]} == errors
    assert not problem["detail"].endswith("..")
    assert ".;" not in problem["detail"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?state=opened", "must be one of: `open`, `retried`, `discarded`"),
        ("?page_size=many", "must be a number from 1"),
        ("?cursor=mine", "take `next` of an answer"),
        ("?status=open", "known are: state, subscriber, cursor, page_size"),
    ],
)
def test_a_refusal_says_what_a_query_may_hold(
    client: Client, key: str, query: str, message: str
) -> None:
    problem = assert_problem(send(client, "GET", f"failed-tasks/{query}", key=key), 400)
    assert message in problem["detail"]


def test_a_refusal_says_the_form_of_a_time(client: Client, key: str) -> None:
    response = send(client, "GET", "events/?since=yesterday", key=key)
    assert "as in 2026-01-31T12:00:00Z" in assert_problem(response, 400)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "events/", "GET, POST, HEAD, OPTIONS"),
        ("GET", "deliveries/ack/", "POST, OPTIONS"),
        ("POST", "events/7/", "GET, HEAD, OPTIONS"),
        ("DELETE", "subscribers/", "GET, POST, HEAD, OPTIONS"),
    ],
)
def test_a_refusal_says_which_methods_are_allowed(
    client: Client, key: str, method: str, path: str, allowed: str
) -> None:
    response = send(client, method, path, key=key)
    detail = assert_problem(response, 405)["detail"]
    assert detail.startswith(f"{method} is not allowed here; allowed are: ")
    listed = detail.partition(": ")[2].rstrip(".").split(", ")
    assert sorted(listed) == sorted(allowed.split(", "))
    assert sorted(response["Allow"].split(", ")) == sorted(listed)


@pytest.mark.parametrize(
    "path",
    [
        "events",
        "nothing/",
        "",
        "subscribers/erp/pause",
        "subscribers/a%00b/",  # PostgreSQL would refuse the NUL.
    ],
)
def test_a_refusal_of_an_unknown_path_says_where_the_calls_are(
    client: Client, path: str
) -> None:
    detail = assert_problem(send(client, "POST", path), 404)["detail"]
    assert "/api/docs/" in detail
    assert ("end in a slash" in detail) == (not path.endswith("/") and path != "")


@pytest.mark.parametrize("path", ["events/", "subscribers/", "deliveries/ack/"])
@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip"])
def test_a_refusal_asks_for_an_uncompressed_body(
    client: Client, key: str, path: str, coding: str
) -> None:
    body = gzip.compress(json.dumps(an_envelope()).encode())
    more = {"Content-Encoding": coding, "content_type": STRUCTURED, "key": key}
    response = send(client, "POST", path, body, **more)
    detail = assert_problem(response, 415)["detail"]
    assert f"`Content-Encoding: {coding}`" in detail
    assert "uncompressed" in detail
    assert response["Accept-Encoding"] == "identity"


def test_the_coding_that_is_none_is_taken(client: Client, key: str) -> None:
    more = {"Content-Encoding": "identity", "content_type": STRUCTURED, "key": key}
    assert send(client, "POST", "events/", an_envelope(), **more).status_code == 202


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("deliveries/ack/", JSON),
        ("events/", STRUCTURED),
        ("events/", "application/cloudevents-batch+json"),
    ],
)
def test_a_refusal_says_that_json_must_be_utf_8(
    client: Client, key: str, path: str, content_type: str
) -> None:
    more = {"content_type": f"{content_type}; charset=iso-8859-1", "key": key}
    response = send(client, "POST", path, "{}", **more)
    detail = assert_problem(response, 415)["detail"]
    assert "charset=iso-8859-1" in detail
    assert "UTF-8" in detail


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "us-ascii"])
def test_json_that_says_it_is_utf_8_is_taken(
    client: Client, key: str, charset: str
) -> None:
    more = {"content_type": f"{JSON}; charset={charset}", "key": key}
    response = send(client, "POST", "deliveries/ack/", {"deliveries": []}, **more)
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"max": }', "line 1 column 9"),
        (b'{"max": "\xff"}', "byte 9 is 0xff"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_refusal_says_where_a_body_stops_being_json(
    client: Client, key: str, body: Any, message: str
) -> None:
    response = send(client, "POST", "deliveries/ack/", body, key=key)
    assert message in assert_problem(response, 400)["detail"]


def test_a_refusal_says_that_answers_are_json(client: Client, key: str) -> None:
    response = send(client, "GET", "subscribers/", key=key, Accept="text/xml")
    assert "`Accept: application/json`" in assert_problem(response, 406)["detail"]


def test_a_refusal_of_a_large_body_says_the_limit(client: Client, key: str) -> None:
    response = send(client, "POST", "deliveries/ack/", " " * 2_000_000, key=key)
    assert "1,048,576 bytes" in assert_problem(response, 413)["detail"]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("It is", "It is."),
        ("It is.", "It is."),
        ("It is..", "It is."),
        ("a must be.; b must be.", "a must be; b must be."),
    ],
)
def test_a_detail_ends_with_one_period(text: str, whole: str) -> None:
    assert sentence(text) == whole


def test_a_refusal_says_what_a_key_may_do_instead(client: Client, key: str) -> None:
    _, bound = ApiKey.make(
        "bound",
        scopes=[Scope.MANAGE, Scope.PUBLISH],
        subscribers=["erp", "shop-*"],
        sources=["/partner/*"],
        types=["*"],
    )
    pulled = send(client, "POST", "subscribers/erp/pull/", key=bound)
    scope = assert_problem(pulled, 403)
    assert "--scopes consume" in scope["detail"]
    other = {"name": "crm", "transport": "pull"}
    made = send(client, "POST", "subscribers/", other, key=bound)
    (error,) = assert_problem(made, 403)["errors"]
    assert error["detail"].endswith("it may be: erp, shop-*.")
    more = {"content_type": STRUCTURED, "key": bound}
    response = send(client, "POST", "events/", an_envelope(source="/other"), **more)
    (error,) = assert_problem(response, 403)["errors"]
    assert error["detail"].endswith("it may publish: /partner/*.")


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "subscribers/nobody/", "GET /api/subscribers/"),
        ("POST", "failed-tasks/9/retry/", "GET /api/failed-tasks/"),
        ("GET", "events/9/", "GET /api/events/"),
        ("POST", "deliveries/9/resend/", "GET /api/events/{number}/"),
    ],
)
def test_a_refusal_says_where_to_look_for_what_is_not_there(
    client: Client, key: str, method: str, path: str, message: str
) -> None:
    assert message in assert_problem(send(client, method, path, key=key), 404)["detail"]


def test_a_refusal_says_how_a_subscriber_could_pull(client: Client, key: str) -> None:
    response = send(client, "POST", "subscribers/crm/pull/", key=key)
    assert '{"transport": "pull"}' in assert_problem(response, 409)["detail"]
