from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from router.flow.cursor import runs_in_stream
from router.models import Subscriber
from router.registry import isolated
from router.testing import isolated_subscribers
from router.transports import connections
from router.transports.webhook import event_loop
from tests.contract import past_facts
from tests.contract.keyed_router import KeyedRouter
from tests.contract.run_steps import Handler
from tests.contract.steps import Subscribe, publish_and_route, webhook_subscriber
from tests.servers import receiving


@pytest.fixture
def receiver() -> Iterator[receiving.Receiver]:
    """A server that webhooks are posted to."""
    with receiving.Receiver() as server:
        yield server


@pytest.fixture
def subscribe(transactional_db: None, settings: Any) -> Iterator[Subscribe]:
    """`subscribe(url, name=…, **fields)`: a webhook subscriber with a secret."""
    settings.ROUTER = {
        "WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"],
        # A slow machine must not make an answer a silence.
        "WEBHOOK_DEADLINE_SECONDS": 20,
    }
    with isolated_subscribers():
        yield webhook_subscriber
    event_loop.close()


@pytest.fixture
def let_pass(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`let_pass(seconds)` on the monotonic clock, however fast the machine is."""
    passed, ticking = [0.0], time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: ticking() + sum(passed))
    return passed.append


@pytest.fixture
def probes_by_hand(settings: Any) -> None:
    """Only `skip_waits` makes a probe due, however slow the machine is."""
    waits = {"PROBE_FIRST_SECONDS": 3600, "PROBE_MAXIMUM_SECONDS": 360_000}
    settings.ROUTER = {**settings.ROUTER, **waits}


@pytest.fixture
def bus(
    transactional_db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[KeyedRouter]:
    """The router that every foreign subscriber of the test publishes to."""
    settings.ROUTER = {"WEBHOOK_DEADLINE_SECONDS": 20}
    router = KeyedRouter()
    monkeypatch.setattr(connections, "publisher", lambda kind, target: router)
    with isolated_subscribers():
        yield router


@pytest.fixture
def handler(transactional_db: None) -> Iterator[Handler]:
    """Of a subscriber that is declared when ten events are there."""
    Subscriber.objects.all().delete()
    with isolated():
        publish_and_route(10)
        runs_in_stream.look_again()
        yield Handler()


@pytest.fixture
def past(transactional_db: None, settings: Any) -> Iterator[None]:
    """Facts from before the router, and no subscriber."""
    Subscriber.objects.all().delete()
    settings.ROUTER = {**settings.ROUTER, "HISTORY": past_facts.HISTORY}
    with isolated():
        yield
    past_facts.given.clear()
