"""The API against its own description: what schemathesis makes of it finds nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from pytest_django.live_server_helper import LiveServer
from schemathesis.specs.openapi.checks import positive_data_acceptance

from config.wsgi import application
from router import registry
from router.flow.subscribing import create_subscriber
from router.models import ApiKey, Scope, Subscriber

pytestmark = pytest.mark.timeout(300)

#: For each operation; more find more: `API_EXAMPLES=200 make test ARGS="-k fuzzed"`.
EXAMPLES = int(os.environ.get("API_EXAMPLES", "8"))
#: A JSON Schema can't say every rule: which URLs are safe, whose names are taken.
NOT_SAID = [positive_data_acceptance]


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


schema = schemathesis.openapi.from_wsgi("/api/schema/", application)


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
    headers = {"Authorization": f"Bearer {key}"}
    case.call_and_validate(
        base_url=live_server.url, headers=headers, excluded_checks=NOT_SAID
    )
