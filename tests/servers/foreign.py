"""What the contract tests of foreign routers need of each: one class a kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Received:
    """A message as a client reads or sends it that nobody here wrote: its body, and the
    attributes of the event beside it, by their names in CloudEvents. `id` is the
    router's own."""

    body: bytes
    content_type: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""


class ForeignRouter(Protocol):
    """A router of others, that tests may send to, read, and break."""

    #: The transport of a subscriber.
    kind: str
    #: In which an event can be written.
    modes: tuple[str, ...]

    def make(self) -> dict[str, Any]:
        """A new place for events; returns the target that leads there."""
        ...

    def missing(self) -> dict[str, Any]:
        """A target that leads to no place."""
        ...

    def denied(self) -> dict[str, Any] | None:
        """A target that this user may not write to; None where there are no rights."""
        ...

    def refusing(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """A target, and attributes of an event that it can never take."""
        ...

    def read_all(self, target: Mapping[str, Any]) -> Sequence[Received]:
        """Everything that waits there, in its order."""
        ...

    def make_feed(self) -> dict[str, Any]:
        """A new place that a bridge takes from; returns its setting."""
        ...

    def make_pair(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """A target, and the setting of a bridge that takes what arrives there."""
        ...

    def send(self, feed: Mapping[str, Any], messages: Sequence[Received]) -> None: ...

    def left(self, feed: Mapping[str, Any]) -> int:
        """How many messages a bridge did not acknowledge yet."""
        ...

    def kill(self) -> None:
        """End it at once; what it confirmed stays."""
        ...

    def start(self) -> None:
        """Start it where it was, with what it confirmed."""
        ...

    def freeze(self) -> None:
        """It keeps its connections and answers nothing, until `thaw`."""
        ...

    def thaw(self) -> None: ...
