"""JSON Schemas that are registered while the router runs."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse

from router.contract.errors import SchemaConflict, SchemaViolation
from router.flow.publish import registered_schemas
from router.models import ApiKey, AuditEntry, EventRecord, EventSchema, Scope
from router.operate.schemas import register_schema, retire_schema
from router.public import publish
from tests.integration.api import assert_problem, send

pytestmark = pytest.mark.django_db

TYPE = "parcel.lost"
Call = Callable[..., Any]


def a_schema(version: int = 1, **more: Any) -> dict[str, Any]:
    """The data has a number that is at most the version."""
    numbers = {"n": {"type": "integer", "maximum": version}}
    return {"$id": f"urn:test:parcel:{version}", "properties": numbers, **more}


def referring(keyword: str, to: str) -> dict[str, Any]:
    return a_schema(**{keyword: to})


@pytest.fixture
def call(client: Client) -> Call:
    """`call(body)` registers, `call()` lists, `call(retire=id)` retires."""
    _, key = ApiKey.make("manager", scopes=[Scope.MANAGE])

    def schemas(body: Any = None, retire: int = 0, **query: Any) -> Any:
        if retire:
            return send(client, "DELETE", f"schemas/{retire}/", key=key)
        if body is None:
            return send(client, "GET", f"schemas/?{urlencode(query)}", key=key)
        return send(client, "POST", "schemas/", body, key=key)

    return schemas


def test_a_schema_is_registered_and_holds(call: Call) -> None:
    response = call({"type": TYPE, "schema": a_schema()})
    assert response.status_code == 201
    assert response.json()["dataschema"] == "urn:test:parcel:1"
    registered_schemas.forget()  # The test's transaction never commits.

    assert publish(TYPE, {"n": 1}).event.dataschema == "urn:test:parcel:1"
    with pytest.raises(SchemaViolation) as caught:
        publish(TYPE, {"n": 2})
    assert [pointer for pointer, _ in caught.value.problems] == ["/data/n"]
    assert str(AuditEntry.objects.get()) == (
        "schema.registered of schema urn:test:parcel:1 by key manager"
    )


def test_the_same_again_is_the_same_and_another_is_a_conflict(call: Call) -> None:
    body = {"type": TYPE, "schema": a_schema()}
    assert [call(body).status_code, call(body).status_code] == [201, 200]
    assert_problem(call({"type": TYPE, "schema": a_schema(title="New")}), 409)
    foreign = assert_problem(call({"type": "parcel.found", "schema": a_schema()}), 409)
    assert TYPE not in foreign["detail"]
    assert EventSchema.objects.get().schema == a_schema()
    assert AuditEntry.objects.count() == 1


def test_versions_stand_side_by_side_and_the_newest_is_the_default() -> None:
    for version in (1, 2):
        register_schema(TYPE, a_schema(version), by="command")
    assert publish(TYPE, {"n": 2}).event.dataschema == "urn:test:parcel:2"
    publish(TYPE, {"n": 1}, dataschema="urn:test:parcel:1")
    with pytest.raises(SchemaViolation):
        publish(TYPE, {"n": 2}, dataschema="urn:test:parcel:1")
    with pytest.raises(SchemaViolation, match="known: urn:test:parcel:1, urn"):
        publish(TYPE, {"n": 1}, dataschema="urn:test:parcel:3")


def test_registered_ones_are_newer_than_files(settings: Any, tmp_path: Any) -> None:
    file = tmp_path / "parcel.json"
    file.write_text(json.dumps(a_schema(1)))
    settings.ROUTER = settings.ROUTER | {"SCHEMAS": {TYPE: [file]}}
    register_schema(TYPE, a_schema(2), by="command")
    assert publish(TYPE, {"n": 2}).event.dataschema == "urn:test:parcel:2"
    with pytest.raises(SchemaViolation):
        publish(TYPE, {"n": 2}, dataschema="urn:test:parcel:1")
    with pytest.raises(SchemaConflict, match="is a file"):
        register_schema(TYPE, a_schema(1), by="command")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"schema": a_schema()}, "/type"),
        ({"type": "parcel\x7flost", "schema": a_schema()}, "/type"),
        ({"type": "ROUTER.test", "schema": a_schema()}, "/type"),
        ({"type": "router.test", "schema": a_schema()}, "/type"),
        ({"type": TYPE}, "/schema"),
        ({"type": TYPE, "schema": []}, "/schema"),
        ({"type": TYPE, "schema": {}}, "/schema/$id"),
        ({"type": TYPE, "schema": {"$id": 7}}, "/schema/$id"),
        ({"type": TYPE, "schema": {"$id": "u:" + "u" * 499}}, "/schema/$id"),
        ({"type": TYPE, "schema": {"$id": "parcel/1"}}, "/schema/$id"),
        ({"type": TYPE, "schema": {"$id": "urn:a#b"}}, "/schema/$id"),
        ({"type": TYPE, "schema": a_schema(type="text")}, "/schema/type"),
        (
            {"type": TYPE, "schema": a_schema(items={"a/b": 1, "minLength": "x"})},
            "/schema/items/minLength",
        ),
        ({"type": TYPE, "schema": a_schema(pattern="(")}, "/schema/pattern"),
        (
            {
                "type": TYPE,
                "schema": a_schema(**{"$schema": "http://json-schema.org/schema#"}),
            },
            "/schema/$schema",
        ),
        ({"type": TYPE, "schema": a_schema(title="\u0000")}, "/schema"),
        ({"type": TYPE, "schema": a_schema(title="\ud800")}, "/schema"),
        # What is not in it would have to be fetched from somewhere.
        ({"type": TYPE, "schema": a_schema(**{"$ref": "#/$defs/none"})}, "/schema"),
        (
            {"type": TYPE, "schema": a_schema(**{"$ref": "file:///etc/hosts"})},
            "/schema",
        ),
        (
            {"type": TYPE, "schema": a_schema(**{"$dynamicRef": "http://a/b"})},
            "/schema",
        ),
    ],
)
def test_what_can_not_be_a_schema_is_pointed_at(
    call: Call, body: Any, pointer: str
) -> None:
    problem = assert_problem(call(body), 422)
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert not EventSchema.objects.exists()


@pytest.mark.parametrize("body", ["{", "[" * 100_000, '{"type": NaN}'])
def test_a_body_that_is_not_json_is_refused(call: Call, body: str) -> None:
    assert_problem(call(body), 400)


def test_a_number_that_json_can_not_say_is_refused(call: Call) -> None:
    body = '{"type": "parcel.lost", "schema": {"$id": "urn:a", "maximum": 1e999}}'
    assert_problem(call(body), 422)


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$schema"])
def test_a_remote_reference_is_never_fetched(call: Call, keyword: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        remote = f"http://127.0.0.1:{listener.getsockname()[1]}/schema"
        body = {"type": TYPE, "schema": referring(keyword, remote)}
        assert_problem(call(body), 422)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_schemas_are_listed_as_far_as_the_key_goes(call: Call) -> None:
    register_schema(TYPE, a_schema(1), by="command")
    register_schema("parcel.found", {"$id": "urn:found"}, by="command")
    names = ["urn:found", "urn:test:parcel:1"]
    assert [result["dataschema"] for result in call().json()["results"]] == names
    narrowed = call(type=TYPE).json()["results"]
    assert [each["schema"] for each in narrowed] == [a_schema(1)]
    assert_problem(call(typ=TYPE), 400)

    ApiKey.objects.update(types=["parcel.found"], scopes=[Scope.SCHEMAS])
    assert [result["dataschema"] for result in call().json()["results"]] == names[:1]
    assert_problem(call({"type": TYPE, "schema": a_schema(2)}), 403)


@pytest.mark.parametrize(
    ("scopes", "bindings", "may"),
    [
        (["schemas"], {}, True),
        (["schemas"], {"types": [TYPE]}, True),
        (["schemas"], {"types": ["parcel.*"], "subscribers": ["erp"]}, True),
        (["schemas"], {"types": ["stock.*"]}, False),
        # A key that is bound to something else names no type, and has none.
        (["schemas"], {"sources": ["/partner"]}, False),
        (["schemas"], {"subscribers": ["erp"]}, False),
        (["manage"], {}, True),
        (["manage"], {"types": [TYPE]}, False),
        (["manage"], {"subscribers": ["erp"]}, False),
        (["publish", "consume"], {}, False),
    ],
)
def test_schemas_need_a_right_of_their_own(
    call: Call, scopes: list[str], bindings: dict[str, Any], may: bool
) -> None:
    held, _ = register_schema("parcel.lost", a_schema(1), by="command")
    ApiKey.objects.update(scopes=scopes, **bindings)
    refused = call({"type": TYPE, "schema": a_schema(2)}), call(retire=held.pk)
    if may:
        assert [response.status_code for response in refused] == [201, 204]
    else:
        assert {response.status_code for response in refused} <= {403, 404}
        assert EventSchema.objects.get().retired_at is None


class TestRetiring:
    """The way back from a schema that refuses what it should not."""

    @pytest.mark.django_db(transaction=True)
    def test_a_retired_schema_refuses_nothing(self, call: Call) -> None:
        row, _ = register_schema(TYPE, a_schema(1), by="command")
        with pytest.raises(SchemaViolation):
            publish(TYPE, {"n": 7})
        assert call(retire=row.pk).status_code == 204
        assert publish(TYPE, {"n": 7}).event.dataschema == ""
        named = publish(TYPE, {"n": 7}, dataschema="urn:test:parcel:1")
        assert named.event.dataschema == "urn:test:parcel:1"
        assert call().json()["results"][0]["retired_at"]

    def test_other_versions_of_the_type_go_on(self) -> None:
        rows = [
            register_schema(TYPE, a_schema(version), by="command")[0]
            for version in (1, 2)
        ]
        retire_schema(rows[1], by="command")
        registered_schemas.forget()
        assert publish(TYPE, {"n": 1}).event.dataschema == "urn:test:parcel:1"
        with pytest.raises(SchemaViolation):
            publish(TYPE, {"n": 2})
        publish(TYPE, {"n": 9}, dataschema="urn:test:parcel:2")
        with pytest.raises(SchemaViolation, match="known: urn:test:parcel:1"):
            publish(TYPE, {"n": 1}, dataschema="urn:elsewhere")

    def test_another_process_s_retirement_is_known_after_a_while(
        self, settings: Any
    ) -> None:
        row, _ = register_schema(TYPE, a_schema(1), by="command")
        with pytest.raises(SchemaViolation):
            publish(TYPE, {"n": 7})
        retire_schema(row, by="command")
        with pytest.raises(SchemaViolation):
            publish(TYPE, {"n": 7})  # Not yet.
        settings.ROUTER = settings.ROUTER | {"SCHEMA_REFRESH_SECONDS": 0}
        publish(TYPE, {"n": 7})

    def test_registered_again_it_holds_again(self, call: Call) -> None:
        body = {"type": TYPE, "schema": a_schema()}
        row = call(body).json()
        assert [call(retire=row["id"]).status_code for _ in range(2)] == [204, 204]
        assert [call(body).status_code for _ in range(2)] == [201, 200]
        registered_schemas.forget()
        with pytest.raises(SchemaViolation):
            publish(TYPE, {"n": 7})
        actions = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
        assert list(actions) == [
            "schema.registered",
            "schema.retired",
            "schema.registered",
        ]

    def test_what_is_not_there_is_not_found(self, call: Call) -> None:
        assert_problem(call(retire=7), 404)


class TestWhatAProcessKnows:
    """Publishing is one statement; the rows are read again every few seconds."""

    def test_publishing_stays_one_statement(
        self, django_assert_num_queries: Any
    ) -> None:
        register_schema(TYPE, a_schema(1), by="command")
        publish(TYPE, {"n": 0})
        with django_assert_num_queries(1):
            publish(TYPE, {"n": 1})
        with django_assert_num_queries(1):
            publish(TYPE, {"n": 1}, dataschema="urn:test:parcel:1")

    def test_another_process_s_schema_is_known_after_a_while(
        self, settings: Any
    ) -> None:
        publish(TYPE, {"n": 7})
        register_schema(TYPE, a_schema(1), by="command")
        publish(TYPE, {"n": 7})  # Not yet.
        settings.ROUTER = settings.ROUTER | {"SCHEMA_REFRESH_SECONDS": 0}
        with pytest.raises(SchemaViolation):
            publish(TYPE, {"n": 7})

    @pytest.mark.parametrize("before", [[], [1]], ids=["none", "an older one"])
    def test_an_event_that_names_it_has_it_looked_for(self, before: list[int]) -> None:
        for version in before:
            register_schema(TYPE, a_schema(version), by="command")
        publish(TYPE, {"n": 0})
        register_schema(TYPE, a_schema(2), by="command")
        publish(TYPE, {"n": 2}, dataschema="urn:test:parcel:2")
        with pytest.raises(SchemaViolation):
            publish(TYPE, {"n": 3}, dataschema="urn:test:parcel:2")

    def test_what_is_not_there_is_looked_for_once(
        self, django_assert_num_queries: Any
    ) -> None:
        publish(TYPE, {})
        with django_assert_num_queries(2):
            publish(TYPE, {}, dataschema="urn:elsewhere")
        with django_assert_num_queries(1):
            publish(TYPE, {}, dataschema="urn:elsewhere")

    def test_one_that_can_not_be_used_any_more_stops_nobody(self) -> None:
        EventSchema.objects.create(
            type=TYPE, dataschema="urn:broken", schema={"type": "text"}
        )
        assert publish(TYPE, {"n": 7}).event.dataschema == ""

    @pytest.mark.django_db(transaction=True)
    def test_its_own_is_known_from_the_commit_on(self) -> None:
        publish(TYPE, {"n": 7})
        register_schema(TYPE, a_schema(1), by="command")
        with pytest.raises(SchemaViolation):
            publish(TYPE, {"n": 7})


class TestAdmin:
    ADD = "/admin/router/eventschema/add/"

    def test_a_schema_is_added_and_shown(self, admin_client: Client) -> None:
        given = {"type": TYPE, "schema": json.dumps(a_schema())}
        page = admin_client.post(self.ADD, given, follow=True)
        row = EventSchema.objects.get()
        address = reverse("admin:router_eventschema_change", args=[row.pk])
        assert page.redirect_chain[-1][0] == address
        assert "urn:test:parcel:1" in page.content.decode()
        listed = admin_client.get("/admin/router/eventschema/?q=parcel.lost")
        assert "urn:test:parcel:1" in listed.content.decode()
        assert "by user admin" in str(AuditEntry.objects.get())

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"type": "par\x7fcel", "schema": '{"a": 1}'}, "U+007F"),
            ({"type": TYPE, "schema": '{"a": 1}'}, "/$id is required"),
            ({"type": TYPE, "schema": "{"}, "valid JSON"),
            (
                {"type": TYPE, "schema": json.dumps(a_schema(title="Other"))},
                "names another schema",
            ),
        ],
    )
    def test_what_can_not_be_is_refused(
        self, admin_client: Client, given: dict[str, str], message: str
    ) -> None:
        register_schema(TYPE, a_schema(), by="command")
        assert message in admin_client.post(self.ADD, given).content.decode()
        assert EventSchema.objects.count() == 1

    def test_a_schema_is_retired_once(self, admin_client: Client) -> None:
        row, _ = register_schema(TYPE, a_schema(), by="command")
        retire = reverse("admin:router_eventschema_retire", args=[row.pk])
        assert (
            "Retire</button>"
            in admin_client.get(retire.replace("retire", "change")).content.decode()
        )
        page = admin_client.post(retire, follow=True).content.decode()
        assert "no longer refuses events" in page
        assert "Retire</button>" not in page
        assert (
            "was retired already"
            in admin_client.post(retire, follow=True).content.decode()
        )


def test_nothing_of_a_refused_event_is_recorded() -> None:
    register_schema(TYPE, a_schema(), by="command")
    with pytest.raises(SchemaViolation):
        publish(TYPE, {"n": 7})
    assert not EventRecord.objects.exists()
