"""Whatever is sent to the API, the answer is the sender's to understand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.api import STRUCTURED, Post, an_envelope, assert_problem
from tests.json_values import json_values

pytestmark = pytest.mark.django_db
# Lone surrogates and NUL too.
TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
JSON = json_values(TEXT)
NAMES = [*an_envelope(), "time", "subject", "partitionkey", "dataschema", "traceparent"]
CHANGES = st.dictionaries(st.sampled_from(NAMES) | TEXT, JSON, min_size=1, max_size=3)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
hostile = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def send(client: Client, body: str | bytes, kind: str, authorization: str) -> None:
    answer: Any = client.post(
        "/api/events/",
        body,
        content_type=kind,
        headers={"Authorization": authorization},
    )
    assert answer.status_code < 500, answer.content
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json"
        assert json.loads(answer.content)["status"] == answer.status_code


@hostile
@given(body=JSON.map(json.dumps) | st.binary(max_size=200))
def test_any_body_is_answered(client: Client, key: str, body: str | bytes) -> None:
    send(client, body, STRUCTURED, f"Bearer {key}")


@hostile
@given(changes=CHANGES)
def test_any_attribute_is_answered(
    client: Client, key: str, changes: dict[str, Any]
) -> None:
    body = json.dumps(an_envelope() | changes)
    send(client, body, STRUCTURED, f"Bearer {key}")


@hostile
@given(kind=HEADER, authorization=HEADER)
def test_any_header_is_answered(client: Client, kind: str, authorization: str) -> None:
    send(client, json.dumps(an_envelope()), kind, authorization)


@pytest.mark.parametrize(
    "name", ["subject", "dataschema", "partitionkey", "traceparent"]
)
@pytest.mark.parametrize("nothing", ["", {}, [], 0, False])
def test_what_is_empty_is_not_taken_for_what_was_left_out(
    post: Post, name: str, nothing: object
) -> None:
    problem = assert_problem(post(an_envelope(**{name: nothing})), 422)
    assert f"/{name}" in {error["pointer"] for error in problem["errors"]}
