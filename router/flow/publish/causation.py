"""The delivery that this thread works on: it causes what is published meanwhile."""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from dataclasses import dataclass

from router.contract.errors import CausationTooDeep

MAX_DEPTH = 32
NAMESPACE = uuid.UUID("7b0f6c1e-3f0a-4c0e-9a2d-5e2f4f7d9c11")


@dataclass
class Cause:
    """The event and subscriber at work, and how many events were published so far."""

    source: str
    event_id: str
    subscriber: str
    traceparent: str
    depth: int
    published_count: int = 0

    def next_id(self) -> str:
        """The id of the next event published here: a second run gives the same."""
        self.published_count += 1
        name = "\x1f".join(
            (self.source, self.event_id, self.subscriber, str(self.published_count))
        )
        return str(uuid.uuid5(NAMESPACE, name))


_cause: ContextVar[Cause | None] = ContextVar("router_cause", default=None)


def current() -> Cause | None:
    return _cause.get()


def next_depth() -> int:
    """How deep an event published now lies. Raises `CausationTooDeep` past 32."""
    cause = _cause.get()
    depth = cause.depth + 1 if cause else 0
    if depth > MAX_DEPTH:
        raise CausationTooDeep
    return depth


class caused_by:  # noqa: N801  # reads as a function, and costs each event less than one
    """What this thread publishes meanwhile has this cause."""

    def __init__(self, cause: Cause) -> None:
        self._new = cause

    def __enter__(self) -> None:
        self._token = _cause.set(self._new)

    def __exit__(self, *_: object) -> None:
        _cause.reset(self._token)
