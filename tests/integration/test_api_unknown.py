"""What no call knows: a field of the body, a query parameter. Each is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from router.flow.causes import group_by_cause
from router.models import AuditEntry, FailedTaskGroup, Run
from router.operate.schemas import register_schema
from router.operate.subscribers import create_subscriber
from router.public import publish
from router.testing import route
from tests.integration import api
from tests.integration.api import assert_problem
from tests.integration.rows import a_delivery, a_failed_task, an_event

AN_ENTRY = {"id": 1, "lease_token": "x"}
#: Where a field is required: the body that has it all.
COMPLETE: dict[str, dict[str, Any]] = {
    "test_target": {"transport": "amqp", "target": {}},
    "create_subscriber": {"name": "new", "transport": "pull"},
    "resend_event": {"subscriber": "erp"},
    "edit_and_retry_failed_task": {"data": {}},
    "redirect_failed_task": {"subscriber": "erp"},
    "begin_run": {"kind": "backfill"},
    "register_schema": {"type": "parcel.lost", "schema": {}},
    "create_portal_link": {"label": "Ada"},
    **dict.fromkeys(("ack", "nack", "release", "extend"), {"deliveries": [AN_ENTRY]}),
}


#: Where a parameter of the query is required: with it.
ASKED = {"explain_event": "&subscriber=erp"}


def operations() -> Iterator[tuple[str, str, str]]:
    """Each operation: its id, method and path."""
    for path, item in api.description()["paths"].items():
        for method, operation in item.items():
            yield operation["operationId"], method, path


OPERATIONS = {name: (method, path) for name, method, path in operations()}
WITH_BODY = [
    name
    for name, (method, _) in OPERATIONS.items()
    if method in ("post", "patch", "put") and name != "publish_events"
]


def make_rows() -> dict[str, Any]:
    """Rows that the paths name."""
    publish("thing.happened", {}, source="/test")
    route()
    wanted = {"transport": "pull", "start": "beginning"}
    erp = create_subscriber("erp", by="test", **wanted).subscriber
    event = an_event()
    delivery = a_delivery(event, erp, "DEAD")
    task = a_failed_task(delivery)
    group_by_cause()
    schema, _ = register_schema("parcel.lost", {"$id": "urn:lost"}, by="test")
    AuditEntry.objects.all().delete()
    return {
        "name": "erp",
        "id": Run.objects.get().number,
        "number": event.pk,
        "delivery_id": delivery.pk,
        "task_id": task.pk,
        "group_id": FailedTaskGroup.objects.get().pk,
        "schema_id": schema.pk,
    }


@pytest.fixture
def paths(shared_rows: dict[str, Any]) -> dict[str, Any]:
    return shared_rows


def send(client: Client, name: str, paths: Any, body: Any, query: str = "") -> Any:
    method, path = OPERATIONS[name]
    path = path.format(**paths) + query
    text = "" if body is None else json.dumps(body)
    return api.send(client, method.upper(), path, text, key=api.a_key())


@pytest.mark.parametrize("name", WITH_BODY)
def test_a_field_that_is_not_known_is_refused_and_the_known_are_named(
    client: Client, name: str, paths: Any
) -> None:
    body = {**COMPLETE.get(name, {}), "surprise": 1, "a/b": 2}
    response = send(client, name, paths, body)
    errors = {error["pointer"]: error["detail"] for error in problem_errors(response)}
    assert set(errors) == {"/surprise", "/a~1b"}
    assert errors["/surprise"].startswith("is not known; known are: ")
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("name", ["ack", "nack", "release", "extend"])
def test_a_field_of_an_entry_that_is_not_known_is_refused(
    client: Client, name: str, paths: Any
) -> None:
    body = {"deliveries": [AN_ENTRY, {**AN_ENTRY, "token": "y"}]}
    (error,) = problem_errors(send(client, name, paths, body))
    assert error["pointer"] == "/deliveries/1/token"


@pytest.mark.parametrize("name", WITH_BODY)
def test_a_refusal_says_that_a_body_must_be_an_object(
    client: Client, name: str, paths: Any
) -> None:
    for body in ([], [1], "text", 7, True):
        (error,) = problem_errors(send(client, name, paths, body))
        assert error["pointer"] == "", body
        assert error["detail"].startswith("must be a JSON object, not "), body


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_query_parameter_that_is_not_known_is_refused_and_the_known_are_named(
    client: Client, name: str, paths: Any
) -> None:
    query = "?tpye=a&format=xml" + ASKED.get(name, "")
    response = send(client, name, paths, COMPLETE.get(name), query)
    errors = assert_problem(response, 400)["errors"]
    assert [error["pointer"] for error in errors] == ["/format", "/tpye"]
    for name_of_known in known_parameters(name):
        assert name_of_known in errors[0]["detail"]
    if not known_parameters(name):
        assert "takes none" in errors[0]["detail"]
    assert not AuditEntry.objects.exists()


def known_parameters(name: str) -> list[str]:
    method, path = OPERATIONS[name]
    parameters = api.description()["paths"][path][method].get("parameters", ())
    return [parameter["name"] for parameter in parameters if parameter["in"] == "query"]


def problem_errors(response: Any) -> list[dict[str, str]]:
    errors: list[dict[str, str]] = assert_problem(response, 422)["errors"]
    return errors
