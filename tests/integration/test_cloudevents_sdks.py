"""The CloudEvents SDKs of others publish here, over a real HTTP server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cloudevents.core.bindings.http import (
    HTTPMessage,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent
from pytest_django.plugin import DjangoDbBlocker

from router.models import ApiKey, EventRecord, Scope
from tests.servers.granian import granian
from tests.servers.node import run_script

pytestmark = pytest.mark.django_db(transaction=True)

ATTRIBUTES = {
    "specversion": "1.0",
    "id": "a-1",
    "source": "/partner",
    "type": "parcel.lost",
    "subject": 'Köln "7" 100%',
    "partitionkey": "customer-1",
    "tenant": "north",
}
DATA = {"parcel": 7, "note": "weiß"}
PNG = b"\x89PNG\x00\xff"
#: Of the SDK for JavaScript, whose binary mode encodes no header.
PLAIN = {**ATTRIBUTES, "subject": "parcel-7"}
JAVASCRIPT = """
const { CloudEvent, HTTP } = require('cloudevents');
const [url, key, attributes, data, mode] = process.argv.slice(1);
const event = new CloudEvent({ ...JSON.parse(attributes),
                               data: JSON.parse(data) ?? undefined,
                               datacontenttype: 'application/json' });
const { headers, body } = HTTP[mode](event);
fetch(url, { method: 'POST', body,
             headers: { ...headers, Authorization: `Bearer ${key}` } })
  .then(async (answer) => console.log(
    JSON.stringify({ status: answer.status, body: await answer.json() })));
"""
JAVASCRIPT_BATCH = """
const { CloudEvent } = require('cloudevents');
const [url, key, attributes] = process.argv.slice(1);
const events = ['a-1', 'a-2'].map(
  (id) => new CloudEvent({ ...JSON.parse(attributes), id, data: { id } }));
fetch(url, { method: 'POST', body: JSON.stringify(events),
             headers: { 'Content-Type': 'application/cloudevents-batch+json',
                        Authorization: `Bearer ${key}` } })
  .then(async (answer) => console.log(
    JSON.stringify({ status: answer.status, body: await answer.json() })));
"""
#: The SDK's own emitter: its bodies are chunked, and it does not look at the status.
EMITTER = """
const { CloudEvent, HTTP, emitterFor, httpTransport } = require('cloudevents');
const [url, key, attributes, kind, text, mode] = process.argv.slice(1);
const data = kind === 'bytes' ? Buffer.from(text, 'base64')
           : kind === 'json' ? JSON.parse(text) : text;
const event = new CloudEvent({ ...JSON.parse(attributes), data });
const emit = emitterFor(httpTransport(url), { binding: HTTP, mode });
emit(event, { headers: { Authorization: `Bearer ${key}` } })
  .then((answer) => console.log(answer.body));
"""
#: `datacontenttype`, data, and how the emitter's script is told it.
KINDS = [
    ("application/json", DATA, "json", json.dumps(DATA)),
    ("application/cloudevent.data+json", [1e23, 0.1], "json", "[1e23, 0.1]"),
    ("text/plain; charset=utf-8", "weiß 😀", "text", "weiß 😀"),
    ("application/xml", "<a>ß</a>", "text", "<a>ß</a>"),
    ("image/png", PNG, "bytes", base64.b64encode(PNG).decode()),
    (None, DATA, "json", json.dumps(DATA)),
    (None, "words", "text", "words"),
    (None, PNG, "bytes", base64.b64encode(PNG).decode()),
]
kinds = pytest.mark.parametrize(("datacontenttype", "data", "how", "text"), KINDS)


@pytest.fixture(scope="module")
def server(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    with (
        django_db_blocker.unblock(),
        granian(tmp_path_factory.mktemp("granian")) as url,
    ):
        yield url


@pytest.fixture
def url(server: str) -> str:
    return f"{server}/api/events/"


@pytest.fixture
def key() -> str:
    return ApiKey.make("sdk", scopes=[Scope.PUBLISH])[1]


def assert_published(
    answer: dict[str, Any],
    attributes: dict[str, str] = ATTRIBUTES,
    data: object = DATA,
) -> None:
    assert answer["status"] == 202, answer
    record = EventRecord.objects.get()
    assert answer["body"]["number"] == record.number
    event = record.to_event()
    envelope = event.to_cloudevent()
    assert {name: envelope[name] for name in attributes} == attributes
    assert event.data == data
    assert event.has_data is (data is not None)


class TestPython:
    @pytest.mark.parametrize("bind", [to_binary_event, to_structured_event])
    def test_an_event_is_published(self, url: str, key: str, bind: Any) -> None:
        content = {"datacontenttype": "application/json"}
        message: HTTPMessage = bind(CloudEvent({**ATTRIBUTES, **content}, DATA))
        answer = send(url, key, message.headers, message.body)
        assert_published(answer)

    @kinds
    @pytest.mark.parametrize("bind", [to_binary_event, to_structured_event])
    def test_data_of_any_type_is_published(
        self,
        url: str,
        key: str,
        bind: Any,
        datacontenttype: str | None,
        data: object,
        how: str,
        text: str,
    ) -> None:
        kind = {"datacontenttype": datacontenttype} if datacontenttype else {}
        attributes = {**ATTRIBUTES, **kind, "note": "Grüße 日本"}
        message = bind(CloudEvent({**attributes}, data))
        answer = send(url, key, message.headers, message.body)
        assert_published(answer, attributes, data)

    @pytest.mark.parametrize("bind", [to_binary_event, to_structured_event])
    def test_an_event_without_data_is_published(
        self, url: str, key: str, bind: Any
    ) -> None:
        message = bind(CloudEvent({**ATTRIBUTES}, None))
        assert_published(send(url, key, message.headers, message.body), data=None)

    def test_a_batch_of_its_events_is_published(self, url: str, key: str) -> None:
        events = [CloudEvent({**ATTRIBUTES, "id": name}, DATA) for name in "ab"]
        bodies = [to_structured_event(event).body.decode() for event in events]
        kind = {"content-type": "application/cloudevents-batch+json"}
        answer = send(url, key, kind, f"[{','.join(bodies)}]".encode())
        assert answer["status"] == 202
        assert [result["id"] for result in answer["body"]["results"]] == ["a", "b"]


class TestJavaScript:
    @kinds
    @pytest.mark.parametrize("mode", ["binary", "structured"])
    def test_its_own_emitter_publishes_data_of_any_type(
        self,
        url: str,
        key: str,
        npm_packages: Path,
        mode: str,
        datacontenttype: str | None,
        data: object,
        how: str,
        text: str,
    ) -> None:
        kind = {"datacontenttype": datacontenttype} if datacontenttype else {}
        # Its binary mode encodes no header.
        note = {"note": "Grüße 日本"} if mode == "structured" else {}
        attributes = {**PLAIN, **kind, **note}
        words = (json.dumps(attributes), how, text, mode)
        printed = run_script(EMITTER, url, key, *words, modules=npm_packages)
        body = json.loads(printed)
        if mode == "binary" and how != "json" and datacontenttype is None:
            # It says application/json of what it was told no type of.
            assert body["status"] == 400
            return
        assert_published({"status": body["status"], "body": body}, attributes, data)

    @pytest.mark.parametrize("data", [DATA, None], ids=["data", "no data"])
    @pytest.mark.parametrize("mode", ["binary", "structured"])
    def test_an_event_is_published(
        self, url: str, key: str, npm_packages: Path, mode: str, data: object
    ) -> None:
        words = (json.dumps(PLAIN), json.dumps(data), mode)
        printed = run_script(JAVASCRIPT, url, key, *words, modules=npm_packages)
        assert_published(json.loads(printed), PLAIN, data)

    def test_a_batch_of_its_events_is_published(
        self, url: str, key: str, npm_packages: Path
    ) -> None:
        given = json.dumps(PLAIN)
        printed = run_script(JAVASCRIPT_BATCH, url, key, given, modules=npm_packages)
        answer = json.loads(printed)
        assert answer["status"] == 202, answer
        assert [result["id"] for result in answer["body"]["results"]] == ["a-1", "a-2"]


def send(url: str, key: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    bearer = {"Authorization": f"Bearer {key}"}
    with closing(connection):
        connection.request("POST", urlsplit(url).path, body, {**headers, **bearer})
        answer = connection.getresponse()
        return {"status": answer.status, "body": json.loads(answer.read())}
