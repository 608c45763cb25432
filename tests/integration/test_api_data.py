"""Data of every type over HTTP, in each mode of the CloudEvents binding."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.models import ApiKey, EventRecord, Scope
from router.testing import isolated_subscribers
from tests.contract.steps import a_puller, route_batch
from tests.integration.api import STRUCTURED, Post, an_envelope, assert_problem

pytestmark = pytest.mark.django_db
BATCH = "application/cloudevents-batch+json"
HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "a-1",
    "ce-source": "/partner",
    "ce-type": "parcel.lost",
}
PNG = b"\x89PNG\x00\xff"
Send = Callable[..., Any]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.just("a"), inner, max_size=4)
    ),
    max_leaves=10,
)


@pytest.fixture
def binary(client: Client, key: str) -> Send:
    """`binary(body, content_type)`: an event in binary mode."""

    def post(body: bytes, content_type: str = "", **changes: Any) -> Any:
        headers = {**HEADERS, "Authorization": f"Bearer {key}", **changes}
        if not body:
            # As every client says it; Django's own for tests does not.
            headers |= {"Content-Length": "0", "Content-Type": content_type}
        return client.post(
            "/api/events/", body, content_type=content_type, headers=headers
        )

    return post


@pytest.fixture
def chunked(client: Client, key: str) -> Send:
    """`chunked(path, body)`: the body without a length, as a server hands it on that
    finds its end."""

    def post(
        path: str, body: bytes | BytesIO, *, is_terminated: bool = True, **more: Any
    ) -> Any:
        headers = {"Authorization": f"Bearer {key}", "Transfer-Encoding": "chunked"}
        return client.post(
            path,
            content_type=more.pop("content_type", STRUCTURED),
            headers={**headers, **more},
            **{
                "wsgi.input": BytesIO(body) if isinstance(body, bytes) else body,
                "wsgi.input_terminated": is_terminated,
                "CONTENT_LENGTH": "",
            },
        )

    return post


def logged() -> dict[str, Any]:
    """The event as the log shows it over HTTP."""
    _, text = ApiKey.make("reader", scopes=[Scope.MANAGE])
    answer: Any = Client().get(
        "/api/events/", headers={"Authorization": f"Bearer {text}"}
    )
    (result,) = answer.json()["results"]
    return dict(result["event"])


@pytest.mark.parametrize(
    ("body", "content_type", "shown"),
    [
        (b'{"n": 1e23}', "application/json", {"data": {"n": 1e23}}),
        (b"null", "application/json", {"data": None}),
        (b'{"a": 1}', "application/ld+json", {"data": {"a": 1}}),
        ("weiß".encode(), "text/plain; charset=utf-8", {"data": "weiß"}),
        ("<a>ß</a>".encode(), "application/xml", {"data": "<a>ß</a>"}),
        (PNG, "image/png", {"data_base64": base64.b64encode(PNG).decode()}),
        (
            b"a=1&b=2",
            "application/x-www-form-urlencoded",
            {"data_base64": "YT0xJmI9Mg=="},
        ),
        (b"--x", "multipart/form-data; boundary=x", {"data_base64": "LS14"}),
        (b"", "text/plain", {}),
    ],
)
def test_a_body_of_any_type_is_kept(
    binary: Send, body: bytes, content_type: str, shown: dict[str, Any]
) -> None:
    response = binary(body, content_type)
    assert response.status_code == 202, response.content
    event = logged()
    data = {name: event[name] for name in ("data", "data_base64") if name in event}
    assert (event["datacontenttype"], data) == (content_type, shown)


@pytest.mark.parametrize(
    ("body", "datacontenttype", "data"),
    [
        (b'{"parcel": 7}', "application/json", {"parcel": 7}),
        (b'"text"', "application/json", "text"),
        (PNG, "application/octet-stream", PNG),
        (b"just words", "text/plain", "just words"),
    ],
)
def test_a_body_without_a_type_is_what_it_can_be_read_as(
    binary: Send, body: bytes, datacontenttype: str, data: object
) -> None:
    assert binary(body).status_code == 202
    event = EventRecord.objects.get().to_event()
    assert (event.datacontenttype, event.data) == (datacontenttype, data)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"data": "weiß", "datacontenttype": "text/plain"}, "weiß"),
        ({"data": "<a/>", "datacontenttype": "text/xml"}, "<a/>"),
        ({"data": {"a": 1}, "datacontenttype": "application/x+json"}, {"a": 1}),
        ({"data": "not parsed"}, "not parsed"),
        ({"data": None, "data_base64": "AP8="}, b"\x00\xff"),
        ({"data": None, "data_base64": "AP8=", "datacontenttype": "a/b"}, b"\x00\xff"),
        # What its type says, however it came.
        (
            {
                "data": None,
                "data_base64": "eyJhIjogMX0=",
                "datacontenttype": "text/json",
            },
            {"a": 1},
        ),
    ],
)
def test_structured_data_is_what_its_type_says(
    post: Post, attributes: dict[str, Any], expected: object
) -> None:
    assert post(an_envelope(**attributes)).status_code == 202
    assert EventRecord.objects.get().to_event().data == expected


def test_each_mode_names_the_same_event(post: Post, binary: Send) -> None:
    text = {"data": "weiß", "datacontenttype": "text/plain"}
    assert binary("weiß".encode(), "text/plain").status_code == 202
    assert post(an_envelope(**text)).status_code == 200
    assert post([an_envelope(**text)], BATCH).status_code == 200


def test_data_that_is_left_out_is_not_null(post: Post) -> None:
    without = an_envelope()
    del without["data"]
    assert post(without).status_code == 202
    assert "data" not in logged()


@pytest.mark.parametrize(
    ("attributes", "pointer"),
    [
        ({"data": 1, "data_base64": "AAAA"}, "/data_base64"),
        ({"data": None, "data_base64": "A"}, "/data_base64"),
        ({"data": None, "data_base64": "AAAA="}, "/data_base64"),
        ({"data": None, "data_base64": "aGl="}, "/data_base64"),
        ({"data": None, "data_base64": "aGk"}, "/data_base64"),
        ({"data": None, "data_base64": "A-_="}, "/data_base64"),
        ({"data": None, "data_base64": "AA\nAA"}, "/data_base64"),
        ({"data": None, "data_base64": "ä"}, "/data_base64"),
        ({"data": None, "data_base64": 7}, "/data_base64"),
        (
            {"data": None, "data_base64": "ew==", "datacontenttype": "text/json"},
            "/data",
        ),
    ],
)
def test_data_that_can_not_be_read_is_pointed_at(
    post: Post, attributes: dict[str, Any], pointer: str
) -> None:
    for sent, kind, where in (
        (an_envelope(**attributes), STRUCTURED, pointer),
        ([an_envelope(**attributes)], BATCH, f"/0{pointer}"),
    ):
        body = assert_problem(post(sent, kind), 422)
        assert [error["pointer"] for error in body["errors"]] == [where]


@pytest.mark.parametrize("digits", ["0.12345678901234567", "1e400", "1e-400"])
def test_a_number_that_would_be_rounded_is_refused(
    post: Post, binary: Send, digits: str
) -> None:
    envelope = json.dumps(an_envelope(data="?")).replace('"?"', f'{{"n": {digits}}}')
    for response in (
        post(envelope),
        binary(f'{{"n": {digits}}}'.encode(), "text/json"),
    ):
        body = assert_problem(response, 422)
        assert [error["pointer"] for error in body["errors"]] == ["/data/n"]
    body = assert_problem(post(f"[{envelope}]", BATCH), 422)
    assert [error["pointer"] for error in body["errors"]] == ["/0/data/n"]


def test_a_number_beyond_64_bits_is_kept(post: Post) -> None:
    assert post(an_envelope(data=[10**30, -(2**70)])).status_code == 202
    assert logged()["data"] == [10**30, -(2**70)]


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=JSON, number=st.integers(1))
def test_json_is_the_same_in_the_log(post: Post, data: Any, number: int) -> None:
    answer = post(an_envelope(id=f"a-{EventRecord.objects.count()}", data=data))
    assert answer.status_code == 202, answer.content
    record = EventRecord.objects.get(pk=answer.json()["number"])
    assert json.loads(json.dumps(record.to_event().to_cloudevent()))["data"] == data


@pytest.mark.parametrize("is_ascii", [True, False])
def test_cyrillic_counts_as_utf_8(post: Post, is_ascii: bool) -> None:
    envelope = an_envelope(data="ж" * 180_000)
    body = json.dumps(envelope, ensure_ascii=is_ascii)
    assert post(body.encode()).status_code == 202
    too_large = json.dumps(an_envelope(data="ж" * 524_288), ensure_ascii=is_ascii)
    assert_problem(post(too_large.encode()), 413)


def test_a_chunked_body_is_read(chunked: Send) -> None:
    answer = chunked("/api/events/", json.dumps(an_envelope()).encode())
    assert answer.status_code == 202, answer.content
    answer = chunked(
        "/api/events/", PNG, content_type="image/png", **(HEADERS | {"ce-id": "b"})
    )
    assert answer.status_code == 202, answer.content
    assert EventRecord.objects.latest("number").to_event().data == PNG


def test_a_chunked_body_without_end_is_refused_at_the_limit(chunked: Send) -> None:
    class Endless(BytesIO):
        read_bytes = 0

        def read(self, size: int | None = -1, /) -> bytes:
            assert size
            assert size > 0
            self.read_bytes += min(size, 65_536)
            assert self.read_bytes < 9 * 1024 * 1024
            return b" " * min(size, 65_536)

    stream = Endless()
    assert_problem(chunked("/api/events/", stream), 413)
    assert stream.read_bytes


def test_a_refusal_says_that_the_end_of_a_chunked_body_is_not_known(
    chunked: Send,
) -> None:
    body = json.dumps(an_envelope()).encode()
    assert_problem(chunked("/api/events/", body, is_terminated=False), 411)


@pytest.fixture
def puller() -> Iterator[Any]:
    with isolated_subscribers():
        yield a_puller("erp", events=["parcel.*"])


def test_other_calls_read_chunked_bodies_too(
    chunked: Send, post: Post, puller: Any
) -> None:
    ApiKey.objects.update(scopes=[Scope.PUBLISH, Scope.CONSUME])
    for name in "ab":
        post(an_envelope(id=name, data="ж", datacontenttype="text/plain"))
    route_batch()
    answer = chunked(
        "/api/subscribers/erp/pull/", b'{"max": 1}', content_type="application/json"
    )
    (delivery,) = answer.json()["deliveries"]
    assert delivery["event"]["data"] == "ж"
    assert "ж".encode() in answer.content
