from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from router.models import Subscriber
from router.public import Event, subscriber
from router.testing import isolated_subscribers, register_declared
from router.transports.webhook import event_loop
from tests.contract.steps import Subscribe, a_puller, webhook_subscriber
from tests.servers import receiving

Behaviour = Callable[[Event], object]


@dataclass
class Receiver:
    """A declared subscriber that does what the test says and notes what it saw."""

    name: str
    behave: Behaviour
    seen: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.seen.append(event)
        self.behave(event)

    @property
    def row(self) -> Subscriber:
        return Subscriber.objects.get(name=self.name)


Declare = Callable[..., Receiver]


@pytest.fixture
def declare(transactional_db: None) -> Iterator[Declare]:
    """`declare(name, behave=…, **options)` declares and registers a subscriber."""

    def make(
        name: str = "listener",
        behave: Behaviour = lambda event: None,
        **options: object,
    ) -> Receiver:
        receiver = Receiver(name, behave)

        def handle(event: Event) -> None:
            receiver(event)

        subscriber(name, **{"events": ["thing.happened"], **options})(handle)
        register_declared()
        return receiver

    with isolated_subscribers():
        yield make


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
def puller(transactional_db: None) -> Subscriber:
    """The one subscriber; it pulls."""
    Subscriber.objects.all().delete()
    return a_puller()


@pytest.fixture
def probes_by_hand(settings: Any) -> None:
    """Only `skip_waits` makes a probe due, however slow the machine is."""
    waits = {"PROBE_FIRST_SECONDS": 3600, "PROBE_MAXIMUM_SECONDS": 360_000}
    settings.ROUTER = {**settings.ROUTER, **waits}
