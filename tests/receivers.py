"""Subscribers in the process of a test that note what they were given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from router.models import Subscriber
from router.public import Event, subscriber
from router.testing import isolated_subscribers, register_declared

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


@contextmanager
def declaring() -> Iterator[Declare]:
    """`declare(name, behave=…, **options)` declares and registers a subscriber."""

    def declare(
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
        yield declare
