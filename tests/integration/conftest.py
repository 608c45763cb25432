from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from router import registry
from router.models import ApiKey, Heartbeat, Scope, Subscriber
from tests.integration.api import STRUCTURED, Post
from tests.servers.foreign import ForeignRouter
from tests.servers.foreign_amqp import ForeignRabbitMQ


@pytest.fixture
def empty_router(db: None) -> Iterator[None]:
    """Nobody is declared and nobody is registered but by the test itself."""
    Subscriber.objects.all().delete()
    with registry.isolated():
        yield


@pytest.fixture(
    params=[pytest.param("amqp", marks=pytest.mark.xdist_group("rabbitmq"))]
)
def foreign(request: pytest.FixtureRequest) -> ForeignRouter:
    """Each kind of foreign router, up and empty."""
    if request.param == "amqp":
        node = request.getfixturevalue("rabbitmq_server")
        return ForeignRabbitMQ(node)
    raise AssertionError(f"no such kind here: {request.param}")


@pytest.fixture
def alive(db: None) -> None:
    """A dispatcher and a worker have given a sign of life just now."""
    for kind in Heartbeat.Kind:
        Heartbeat.objects.create(
            name=kind, kind=kind, beat_at=timezone.now(), is_broker_reachable=True
        )


@pytest.fixture
def key(db: None) -> str:
    """An API key that may publish."""
    return ApiKey.make("partner", scopes=[Scope.PUBLISH])[1]


@pytest.fixture
def post(client: Client, key: str) -> Post:
    """Sends a body to be published, with that key."""

    def send(body: Any, content_type: str = STRUCTURED) -> Any:
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        return client.post(
            "/api/events/",
            text,
            content_type=content_type,
            headers={"Authorization": f"Bearer {key}"},
        )

    return send
