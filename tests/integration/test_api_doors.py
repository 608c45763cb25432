"""Who comes in, with what, and what everybody else is told."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from router.models import ApiKey, EventRecord
from tests.integration.api import STRUCTURED, Post, an_envelope, assert_problem

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",  # Might be anything: no header says that it is an event.
        "application/cloudevents+avro",  # Another format.
        "text/plain",
        "multipart/form-data; boundary=x",
    ],
)
def test_a_refusal_says_which_content_type_is_accepted(
    post: Post, content_type: str
) -> None:
    response = post("{}", content_type)
    detail = assert_problem(response, 415)["detail"]
    assert STRUCTURED in detail
    assert "*/*" not in detail
    assert response["Accept-Post"].split(", ") == [
        STRUCTURED,
        "*/*",
        "application/cloudevents-batch+json",
    ]


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_whose_end_is_not_known_is_refused(
    client: Client, key: str, chunked: bool
) -> None:
    """Without a length and not chunked, there is no body."""
    response = client.post(
        "/api/events/",
        json.dumps(an_envelope()),
        content_type=STRUCTURED,
        headers={
            "Authorization": f"Bearer {key}",
            **({"Transfer-Encoding": "chunked"} if chunked else {}),
        },
        CONTENT_LENGTH="",
    )
    assert_problem(response, 411 if chunked else 400)


def test_a_call_of_headers_alone_is_an_event_without_data(
    client: Client, key: str
) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/partner", "type": "a.b"}
    response = client.post(
        "/api/events/",
        headers={
            "Authorization": f"Bearer {key}",
            **{f"ce-{name}": value for name, value in event.items()},
        },
        content_type="",
        CONTENT_LENGTH="",
    )
    assert response.status_code == 202


def test_a_charset_beside_the_content_type_does_no_harm(post: Post) -> None:
    assert post(an_envelope(), f"{STRUCTURED}; charset=utf-8").status_code == 202


def test_the_use_of_a_key_is_noted(post: Post) -> None:
    post(an_envelope())
    noted = ApiKey.objects.get().last_used_at
    assert noted
    assert timezone.now() - noted < timedelta(minutes=1)


def test_a_refusal_says_that_a_key_has_expired(post: Post) -> None:
    ApiKey.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    assert post(an_envelope()).status_code == 202
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    problem = assert_problem(post(an_envelope(id="a-2")), 401)
    assert "expired at 20" in problem["detail"]


@pytest.mark.parametrize(
    ("bound", "pointers"),
    [
        ({}, []),  # Unbound.
        ({"sources": ["/partner"], "types": ["*"]}, []),
        ({"sources": ["/part*"], "types": ["parcel.*"]}, []),
        ({"sources": ["*"], "types": ["parcel.lost", "parcel.found"]}, []),
        ({"sources": ["/partner/*"], "types": ["*"]}, ["/source"]),
        ({"sources": ["*"], "types": ["parcel"]}, ["/type"]),
        ({"sources": ["/shop"], "types": ["purchase.*"]}, ["/source", "/type"]),
        # An empty list of a key that is bound means none.
        ({"sources": ["/partner"]}, ["/type"]),
        ({"types": ["parcel.*"]}, ["/source"]),
        ({"subscribers": ["*"]}, ["/source", "/type"]),
    ],
)
def test_a_key_publishes_only_what_it_is_bound_to(
    post: Post, bound: dict[str, Any], pointers: list[str]
) -> None:
    ApiKey.objects.update(**bound)
    response = post(an_envelope())
    assert EventRecord.objects.exists() == (not pointers)
    if pointers:
        problem = assert_problem(response, 403)
        assert [error["pointer"] for error in problem["errors"]] == pointers


def test_while_the_database_is_away_the_answer_says_when_to_come_again(
    post: Post,
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("server closed the connection")

    with connection.execute_wrapper(away):
        response = post(an_envelope())
    assert "server closed" not in assert_problem(response, 503)["detail"]
    assert response["Retry-After"]
