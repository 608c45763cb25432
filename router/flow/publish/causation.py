"""The delivery that this thread works on: it causes what is published meanwhile."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from router.contract.errors import CausationTooDeep
from router.contract.event import Event

MAX_DEPTH = 32
#: The depth of the router's notices: what they cause lies deeper, nothing else does.
OF_NOTICE = 1000
NAMESPACE = uuid.UUID("7b0f6c1e-3f0a-4c0e-9a2d-5e2f4f7d9c11")


@dataclass
class Cause:
    """The event and subscriber at work, and how many events were published so far."""

    event: Event
    subscriber: str
    depth: int
    #: The subscriber may have had the event before: what was published then is there.
    is_again: bool = False
    published_count: int = 0

    def next_id(self) -> str:
        """The id of the next event published here: a second run gives the same."""
        self.published_count += 1
        event, count = self.event, str(self.published_count)
        name = "\x1f".join((event.source, event.id, self.subscriber, count))
        return str(uuid.uuid5(NAMESPACE, name))


_cause: ContextVar[Cause | None] = ContextVar("router_cause", default=None)


def current() -> Cause | None:
    return _cause.get()


def next_depth(*, is_notice: bool = False) -> int:
    """How deep an event published now lies. Raises `CausationTooDeep` past 32."""
    cause = _cause.get()
    depth = cause.depth + 1 if cause else 0
    if is_notice:
        depth = max(depth, OF_NOTICE)
    if depth % OF_NOTICE > MAX_DEPTH:
        raise CausationTooDeep
    return depth


def is_of_notice(depth: int) -> bool:
    """Whether an event of this depth is a notice of the router, or caused by one."""
    return depth >= OF_NOTICE


@contextmanager
def caused() -> Iterator[Callable[[Cause], object]]:
    """What this thread publishes meanwhile has the cause that was last given to what
    this yields."""
    token = _cause.set(_cause.get())
    try:
        yield _cause.set
    finally:
        _cause.reset(token)
