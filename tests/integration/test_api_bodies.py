"""Bodies as they come over the wire: cut, escaped, doubled, with long numbers."""

from __future__ import annotations

import json
from io import BytesIO

import pytest
from django.test import Client

from router.models import EventRecord
from tests.integration.api import (
    STRUCTURED,
    Call,
    Get,
    Post,
    a_key,
    an_envelope,
    assert_problem,
    send,
)

pytestmark = pytest.mark.django_db
MIB = 1024 * 1024
#: Text → how many bytes of UTF-8 a character of it has.
ESCAPED = {"ж": 2, "<": 1, "\u0080": 2, "語": 3}
BINARY = {
    "HTTP_CE_SPECVERSION": "1.0",
    "HTTP_CE_ID": "a-1",
    "HTTP_CE_SOURCE": "/partner",
    "HTTP_CE_TYPE": "parcel.lost",
}


def with_data(data: str) -> str:
    """An event around the text of its data, which Python may not have as it is."""
    return json.dumps(an_envelope(data="DATA")).replace('"DATA"', data)


@pytest.mark.parametrize("character", ESCAPED)
def test_an_event_of_the_largest_size_may_be_all_escapes(
    post: Post, character: str
) -> None:
    count = (MIB - 2) // ESCAPED[character]
    escaped = f'"{f"{chr(92)}u{ord(character):04x}" * count}"'

    assert post(with_data(escaped)).status_code == 202
    assert EventRecord.objects.get().data == character * count


def test_text_is_measured_as_it_was_sent(client: Client, key: str) -> None:
    for number, (size, status) in enumerate({MIB: 202, MIB + 1: 413}.items()):
        response = client.post(
            "/api/events/",
            b"\n" * size,
            content_type="text/csv",
            headers={"Authorization": f"Bearer {key}"},
            **{**BINARY, "HTTP_CE_ID": f"a-{number}"},  # type: ignore[arg-type]
        )
        assert response.status_code == status


@pytest.mark.parametrize("content_type", [STRUCTURED, "text/plain"])
def test_a_body_that_ends_before_its_length_is_refused(
    client: Client, key: str, content_type: str
) -> None:
    body = json.dumps(an_envelope()).encode()
    response = client.generic(
        "POST",
        "/api/events/",
        content_type=content_type,
        headers={"Authorization": f"Bearer {key}"},
        **BINARY,
        **{"CONTENT_LENGTH": str(len(body) + 1), "wsgi.input": BytesIO(body)},
    )

    assert "ended before" in assert_problem(response, 400)["detail"]
    assert not EventRecord.objects.exists()


@pytest.mark.parametrize("digits", [4301, 20_000])
@pytest.mark.parametrize("data", ["{}", '{{"a": [0, -{}]}}'])
def test_a_whole_number_that_is_too_long_is_pointed_at(
    post: Post, data: str, digits: int
) -> None:
    problem = assert_problem(post(with_data(data.format("9" * digits))), 422)

    assert problem["errors"][0]["pointer"] == ("/data" if data == "{}" else "/data/a/1")
    assert "send it as a string" in problem["detail"]
    assert "set_int" not in json.dumps(problem)


def test_a_whole_number_of_4300_digits_is_kept(post: Post) -> None:
    assert post(with_data("9" * 4300)).status_code == 202
    assert EventRecord.objects.get().data == 10**4300 - 1


def test_zero_keeps_its_sign(post: Post) -> None:
    assert post(with_data('[-0.0, "-0.0"]')).status_code == 202
    assert str(EventRecord.objects.get().to_event().data) == "[-0.0, '-0.0']"


@pytest.mark.parametrize(
    "twice",
    [
        '"type": "parcel.sent"',
        '"data": null',
        '"other": {"deep": [{"a": 1, "a": 1}]}',
        r'"typ\u0065": "parcel.sent"',
    ],
)
def test_a_name_that_stands_twice_is_refused(post: Post, twice: str) -> None:
    body = json.dumps(an_envelope())[:-1] + f", {twice}}}"

    assert "twice" in assert_problem(post(body), 400)["detail"]
    assert not EventRecord.objects.exists()


@pytest.mark.parametrize("body", [" ", "\r\n\t"])
def test_a_body_that_is_empty_is_called_empty(post: Post, body: str) -> None:
    assert "is empty" in assert_problem(post(body), 400)["detail"]


def test_the_refusal_of_a_thousand_attributes_names_few(post: Post) -> None:
    body = an_envelope(**{f"X{number}": "x" for number in range(1000)})

    problem = assert_problem(post(body), 422)

    assert len(problem["detail"]) < 2000
    assert len(problem["errors"]) == 100
    assert problem["errors"][0]["pointer"] == "/X0"


def test_a_number_that_no_float_holds_is_refused_in_every_field(client: Client) -> None:
    key = a_key()
    for path, body in {
        "deliveries/ack": {"deliveries": [{"id": 10**400, "lease_token": "x"}]},
        "subscribers": {"name": "erp", "transport": "pull", "max_failures": 10**400},
    }.items():
        response = send(client, "POST", f"{path}/", body, key=key)
        assert "must be from 1 to" in assert_problem(response, 422)["detail"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("type=a&type=b", "type stands twice; send it once"),
        ("page_size=1&page_size=2", "page_size stands twice; send it once"),
        pytest.param(
            "&".join(f"a{number}=1" for number in range(2000)), "too large", id="many"
        ),
        ("type=%00", "must not contain U+0000"),
    ],
)
def test_a_query_that_has_no_one_meaning_is_refused(
    call: Call, query: str, message: str
) -> None:
    response = call("GET", f"events/?{query}")

    assert message in assert_problem(response, 400)["detail"]


@pytest.mark.parametrize("attribute", ["type", "subject"])
def test_an_attribute_with_outer_spaces_is_found_as_it_is(
    get: Get, post: Post, attribute: str
) -> None:
    for event_id, value in {"spaces": " lost ", "plain": "lost"}.items():
        post(an_envelope(id=event_id, **{attribute: value}))

    response = get("events/", **{attribute: " lost "})

    assert [result["event"]["id"] for result in response.json()["results"]] == [
        "spaces"
    ]


def test_a_schema_whose_id_is_half_a_character_is_refused(call: Call) -> None:
    schema = {"$id": "https://x.example/\ud800"}

    response = call("POST", "schemas/", {"type": "parcel.lost", "schema": schema})

    assert "/schema/$id" in assert_problem(response, 422)["detail"]
