"""What a kind of foreign router has to do to be sent to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from router.contract.event import Event
from router.contract.outcomes import Outcome, Retry

MessageT = TypeVar("MessageT")


class Unsent(Exception):
    """Nothing of a batch was sent, or nothing is known of any of it."""

    def __init__(self, outcome: Retry) -> None:
        super().__init__(outcome.evidence.error)
        self.outcome = outcome


class Publisher(Protocol[MessageT]):
    """A connection to one target; several threads may use it at once."""

    def message(self, event: Event) -> MessageT:
        """What is sent for this event.

        Raises `ValueError` for one that this router can never take.
        """
        ...

    def take(self, messages: Sequence[MessageT]) -> int:
        """How many of these, from the first on, one call takes; at least one."""
        ...

    def publish(
        self, messages: Sequence[MessageT], *, deadline_seconds: float
    ) -> Sequence[Outcome | None]:
        """Send them in one call; an outcome for each, in their order.

        None is for one that has to follow an earlier one of its key, which failed: it
        is sent again.

        Acknowledged is only what the router has confirmed, never what waits in a buffer
        of the client. Raises `Unsent` when the call failed as a whole.
        """
        ...

    def close(self) -> None:
        """End the connection; nothing is under way."""
        ...
