"""A span as the flow sees it, and what spans are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from router.contract.event import Event
from router.contract.outcomes import Outcome


class Span:
    """A span that is not recorded."""

    #: Of this span, for what it sends; empty where there is none.
    traceparent = ""

    def answer(self, status: int, route: str) -> None:
        """Note how the request was answered; `route` is a pattern, not an address."""

    def end_in(self, outcome: Outcome | None) -> None:
        """Note what became of the attempt; None: it was not begun."""


class Owed(Protocol):
    """What a worker runs a handler for."""

    @property
    def attempts(self) -> int: ...
    @property
    def log_ids(self) -> Mapping[str, int]: ...


class Sent(Protocol):
    """What a transport sends: see `router.transports.base.Request`."""

    @property
    def event(self) -> Event: ...
    @property
    def subscriber(self) -> str: ...
    @property
    def webhook_id(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def is_again(self) -> bool: ...


class Routed(Protocol):
    """An event of the log that has just got its position."""

    number: Any
    type: Any
    source: Any
    time: Any
    traceparent: Any


RunTraced = Callable[..., Outcome]
