"""The CloudEvents SDKs of others publish here, over a real HTTP server."""

from __future__ import annotations

import json
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
from pytest_django.live_server_helper import LiveServer

from router.models import ApiKey, EventRecord, Scope
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


@pytest.fixture
def url(live_server: LiveServer) -> str:
    return f"{live_server.url}/api/events/"


@pytest.fixture
def key() -> str:
    return ApiKey.make("sdk", scopes=[Scope.PUBLISH])[1]


def assert_published(
    answer: dict[str, Any],
    attributes: dict[str, str] = ATTRIBUTES,
    data: object = DATA,
) -> None:
    record = EventRecord.objects.get()
    assert answer["status"] == 202, answer
    assert answer["body"]["number"] == record.number
    told = record.to_event().to_cloudevent()
    assert {name: told[name] for name in attributes} == attributes
    assert told.get("data") == data


class TestPython:
    @pytest.mark.parametrize("bind", [to_binary_event, to_structured_event])
    def test_an_event_is_published(self, url: str, key: str, bind: Any) -> None:
        content = {"datacontenttype": "application/json"}
        message: HTTPMessage = bind(CloudEvent({**ATTRIBUTES, **content}, DATA))
        answer = send(url, key, message.headers, message.body)
        assert_published(answer)

    def test_a_batch_of_its_events_is_published(self, url: str, key: str) -> None:
        events = [CloudEvent({**ATTRIBUTES, "id": name}, DATA) for name in "ab"]
        bodies = [to_structured_event(event).body.decode() for event in events]
        kind = {"content-type": "application/cloudevents-batch+json"}
        answer = send(url, key, kind, f"[{','.join(bodies)}]".encode())
        assert answer["status"] == 202
        assert [one["id"] for one in answer["body"]["results"]] == ["a", "b"]


class TestJavaScript:
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
        assert [one["id"] for one in answer["body"]["results"]] == ["a-1", "a-2"]


def send(url: str, key: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    bearer = {"Authorization": f"Bearer {key}"}
    with closing(connection):
        connection.request("POST", urlsplit(url).path, body, {**headers, **bearer})
        answer = connection.getresponse()
        return {"status": answer.status, "body": json.loads(answer.read())}
