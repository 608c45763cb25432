"""What clients that are generated need of the API's description."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from router.models import ApiKey, Scope
from router.transports.base import Request
from router.transports.kinds import KINDS
from router.transports.webhook.request import Receiver, sign
from tests.integration.events import event

#: What no person would call a type: made up of a field's name, or of how it is used.
MADE_UP = re.compile(r"(Enum|Body|BodyRequest|List|Serializer)$|^(Patched|Paginated)")
A_REFERENCE = "#/components/schemas/CloudEvent"


@pytest.fixture
def schema(client: Client) -> dict[str, Any]:
    body: dict[str, Any] = client.get("/api/schema/").json()
    return body


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from objects(inner)


def test_names_are_those_that_a_person_would_choose(schema: dict[str, Any]) -> None:
    names = set(schema["components"]["schemas"])

    assert [name for name in names if MADE_UP.search(name)] == []
    assert {
        "AckRequest",
        "CloudEvent",
        "Ordering",
        "Problem",
        "PullRequest",
        "Subscriber",
        "SubscriberCreate",
        "SubscriberUpdate",
    } <= names


@pytest.mark.parametrize("name", ["SubscriberCreate", "TargetTestRequest"])
def test_each_field_of_each_target_is_named(schema: dict[str, Any], name: str) -> None:
    described = schema["components"]["schemas"][name]["properties"]["target"]

    for kind in KINDS.values():
        for each, info in kind.target.model_fields.items():
            needed = " (required)" if info.is_required() else ""
            assert f"`{each}`{needed}" in described["description"]


def test_an_event_is_one_component_wherever_it_stands(schema: dict[str, Any]) -> None:
    own = [
        each for each in objects(schema) if "specversion" in each.get("properties", {})
    ]
    components = schema["components"]["schemas"]
    calls = schema["paths"]["/api/events/"]["post"]["requestBody"]["content"]

    assert own == [components["CloudEvent"]]
    for name in ("LoggedEvent", "EventWithDeliveries", "PulledDelivery"):
        assert components[name]["properties"]["event"]["$ref"] == A_REFERENCE
    assert calls["application/cloudevents+json"]["schema"]["$ref"] == A_REFERENCE


@pytest.mark.parametrize("host", ["testserver", "shop.example:8443"])
def test_the_server_is_the_one_that_was_asked(
    client: Client, settings: Any, host: str
) -> None:
    settings.ALLOWED_HOSTS = ["testserver", "shop.example"]
    answer = client.get("/api/schema/", headers={"host": host}, secure=True)

    assert answer.json()["servers"] == [{"url": f"https://{host}"}]


def test_each_header_of_binary_mode_is_there_and_every_kind_of_data(
    schema: dict[str, Any],
) -> None:
    call = schema["paths"]["/api/events/"]["post"]
    headers = {
        parameter["name"]
        for parameter in call["parameters"]
        if parameter["in"] == "header"
    }

    assert headers >= {"ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject"}
    assert headers >= {"ce-time", "ce-dataschema", "ce-partitionkey", "ce-traceparent"}
    assert not headers & {"ce-data", "ce-data_base64", "ce-datacontenttype"}
    assert call["requestBody"]["required"]
    assert call["requestBody"]["content"].keys() >= {
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "application/json",
        "text/plain",
        "application/octet-stream",
    }


def test_a_webhook_is_described_with_the_headers_that_it_has(
    schema: dict[str, Any],
) -> None:
    operation = schema["webhooks"]["event"]["post"]
    sent_event = event("parcel.lost", {"parcel": 7})
    letter = Request(
        key=1, event=sent_event, webhook_id="msg_1", attempt=1, origin="live"
    )
    receiver = Receiver(url="https://crm.example.com/", secrets=("whsec_" + "A" * 32,))
    at, traceparent = letter.event.time, f"00-{'a' * 32}-{'b' * 16}-01"
    sent = sign(letter, receiver, at=at, traceparent=traceparent).headers

    described = {parameter["name"] for parameter in operation["parameters"]}
    own = ("webhook-", "router-", "traceparent")
    assert described == {name for name in sent if name.startswith(own)}
    content = operation["requestBody"]["content"]
    assert [*content] == [sent["content-type"].partition(";")[0]]
    assert content["application/cloudevents+json"]["schema"]["$ref"] == A_REFERENCE


def test_what_a_body_does_not_know_is_refused_by_its_description_too(
    schema: dict[str, Any],
) -> None:
    components = schema["components"]["schemas"]
    bodies = {
        each["$ref"].rpartition("/")[2]
        for item in schema["paths"].values()
        for call in item.values()
        for content in call.get("requestBody", {}).get("content", {}).values()
        for each in [content.get("schema", {})]
        if "$ref" in each
    } - {"CloudEvent", "CloudEventBatch"}

    assert bodies
    for name in bodies:
        assert components[name]["additionalProperties"] is False


def test_fields_of_another_project_with_the_names_of_ours_warn_of_nothing(
    tmp_path: Path,
) -> None:
    made = tmp_path / "schema.json"
    other = {"urlconf": "tests.integration.other_api", "file": str(made)}

    call_command("spectacular", fail_on_warn=True, format="openapi-json", **other)

    components = json.loads(made.read_text())["components"]["schemas"]
    assert components["StateEnum"]["enum"] == ["arrived", "lost"]
    assert "SubscriberState" in components


@pytest.mark.parametrize(("name", "language"), [("schema", "ia"), ("docs", "io")])
def test_it_is_built_once_and_not_sent_to_who_has_it(
    client: Client,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    language: str,
) -> None:
    """In a language that no other test asked for: nothing is kept of it. A project
    without this store's middleware may have its API in one."""
    built = []
    ours = "config.web.language.LanguageMiddleware"
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if each != ours]
    settings.LANGUAGES = [*settings.LANGUAGES, (language, language)]
    settings.LANGUAGE_CODE = language
    build = SchemaGenerator.get_schema
    monkeypatch.setattr(
        SchemaGenerator,
        "get_schema",
        lambda *args, **kwargs: built.append(1) or build(*args, **kwargs),
    )
    answers = [client.get(f"/api/{name}/") for _ in range(3)]
    assert len(built) == 1
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].headers["Cache-Control"] == "public, max-age=300"
    etag = answers[0].headers["ETag"]
    known = client.get(f"/api/{name}/", headers={"if-none-match": etag})
    assert (known.status_code, known.content) == (304, b"")
    other = client.get(f"/api/{name}/", headers={"if-none-match": '"x"'})
    assert other.status_code == 200


def test_what_is_behind_a_key_is_never_kept_by_a_cache(
    client: Client, db: None
) -> None:
    _, text = ApiKey.make("manager", scopes=list(Scope.values))
    headers = {"Authorization": f"Bearer {text}"}
    hook = {"name": "a", "transport": "webhook", "url": "https://a.example/"}
    answers = [
        client.post(
            "/api/subscribers/",
            {**hook, "events": ["*"]},
            content_type="application/json",
            headers=headers,
        ),
        client.get("/api/subscribers/", headers=headers),
        client.get("/api/subscribers/none/", headers=headers),
        client.get("/api/events/", headers=headers),
        client.get("/api/events/"),
        client.put("/api/schemas/", headers=headers),
    ]
    codes = [answer.status_code for answer in answers]
    assert codes == [201, 200, 404, 200, 401, 405]
    for answer in answers:
        kept = set(answer.headers["Cache-Control"].split(", "))
        assert kept >= {"no-store", "private"}
