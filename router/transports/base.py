from __future__ import annotations

from typing import Protocol

from router.contract.event import Event
from router.contract.outcomes import Outcome


class TransportProtocol(Protocol):
    """Brings one event to one subscriber; sees the event, never the database's rows."""

    def send(self, event: Event) -> Outcome:
        """Try once. An answer that is not yes is an Outcome, not an exception."""
        ...
