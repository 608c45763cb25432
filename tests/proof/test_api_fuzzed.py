"""The API against its own description: what schemathesis makes of it finds nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, settings
from pytest_django.live_server_helper import LiveServer
from schemathesis.specs.openapi.checks import positive_data_acceptance

from router import registry
from router.models import ApiKey, Scope, Subscriber
from router.operate.subscribers import create_subscriber
from router.transports.kinds import KINDS

#: For each operation; more find more: `API_EXAMPLES=200 make proof ARGS="-k fuzzed"`.
EXAMPLES = int(os.environ.get("API_EXAMPLES", "5"))
#: A JSON Schema can't say what a JSON Schema is that refers to nothing outside, nor
#: which events are in the log.
NOT_SAID = {
    "register_schema": [positive_data_acceptance],
    "begin_run": [positive_data_acceptance],
}
PLACES = ("from", "until")
BINARY_EVENT = {
    "ce-specversion": "1.0",
    "ce-id": "a-1",
    "ce-source": "/partner",
    "ce-type": "parcel.lost",
}


@pytest.fixture
def key(transactional_db: None) -> Iterator[str]:
    """A key that may do everything, with something there to do it to."""
    Subscriber.objects.all().delete()
    with registry.isolated():
        create_subscriber("erp", by="test", transport="pull", events=["*"])
        create_subscriber(
            "crm",
            by="test",
            transport="webhook",
            url="https://crm.example.com/",
            events=["*"],
        )
        yield ApiKey.make("fuzzer", scopes=list(Scope.values))[1]


schema = schemathesis.openapi.from_wsgi("/api/schema/", get_wsgi_application())
# No database keeps U+0000, and of data, which is any JSON, a schema can't say so.
schema.config.generation.update(allow_x00=False)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_every_call_keeps_to_its_description(
    case: Any, key: str, live_server: LiveServer
) -> None:
    if case.meta.generation.mode.is_positive:
        obey(case)
    operation = case.operation.definition.raw["operationId"]
    case.call_and_validate(
        base_url=live_server.url,
        headers={"Authorization": f"Bearer {key}"},
        excluded_checks=NOT_SAID.get(operation, []),
    )


def obey(case: Any) -> None:
    """Keep the rules that the description tells in words alone."""
    if isinstance(case.body, dict) and "url" in case.body:
        case.body["url"] = "https://erp.example.com/hooks"
    if isinstance(case.body, dict) and "filter" in case.body:
        case.body["filter"] = with_right_sql(case.body["filter"])
    if isinstance(case.body, dict):
        # Which places there are, depends on the log.
        case.body.update({name: "now" for name in PLACES if name in case.body})
    if case.path == "/api/targets/test/":
        # Nothing is sent to another machine.
        case.body = {"transport": "amqp", "target": {"url": "amqp://127.0.0.1:1"}}
    elif isinstance(case.body, dict) and case.body.get("transport") in KINDS:
        # Which fields a target has depends on the transport.
        case.body["transport"] = "pull"
    if case.path == "/api/events/" and "cloudevents" not in (case.media_type or ""):
        for name in [header for header in case.headers if header.startswith("ce-")]:
            del case.headers[name]
        case.headers.update(BINARY_EVENT)


def with_right_sql(expression: Any) -> Any:
    """The same filter: which texts are SQL, a schema can't say."""
    if isinstance(expression, list):
        return [with_right_sql(inner) for inner in expression]
    if not isinstance(expression, dict):
        return expression
    return {
        dialect: "id = '1'" if dialect == "sql" else with_right_sql(operand)
        for dialect, operand in expression.items()
    }
