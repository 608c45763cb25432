"""What a kind of foreign router has to do to be taken from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from router.contract.binding import Message

#: A call of the other router ends within it. The bridge gives no sign of life
#: meanwhile: it is less than `STALE_AFTER_SECONDS`.
CALL_SECONDS = 12.0


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A message that was taken and not acknowledged yet.

    `id` is the router's own, the same when it comes a second time; empty where there is
    none. `name` is what the router calls messages of this kind: a routing key, a topic.
    `handle` is the consumer's own. `problem` says why it is no event, where the
    consumer knows.
    """

    message: Message
    id: str
    name: str
    handle: Any
    problem: str = ""


class Consumer(Protocol):
    """A connection to one queue, used by one thread. Whatever fails is raised; then it
    is closed, and another is opened."""

    def receive(self, *, limit: int, wait_seconds: float) -> Sequence[Incoming]:
        """What waits, at most so many; nothing when nothing came within the wait."""
        ...

    def acknowledge(self, incoming: Sequence[Incoming]) -> None:
        """The router may forget these. What is not acknowledged comes again."""
        ...

    def waiting(self) -> int | None:
        """How many wait there still; None where the router does not tell."""
        ...

    def close(self) -> None: ...
