"""The log as a program outside reads it, and follows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

from .calls import Calls

#: Events of one call; the router may give fewer where they are heavy.
PAGE_SIZE = 100


@dataclass(frozen=True, kw_only=True)
class Logged:
    """An event of the log: its number, its position, which is None until it is routed,
    and the event in CloudEvents' JSON format."""

    number: int
    position: int | None
    recorded_at: str
    event: Mapping[str, Any]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Self:
        names = ("number", "position", "recorded_at", "event")
        return cls(**{name: entry[name] for name in names})


class Log:
    """Made by `Client.log`. Reading it leaves nothing behind, and owes nothing.

    Each call raises `Refused` or `Unreachable`.
    """

    def __init__(self, calls: Calls, *, patience_seconds: float) -> None:
        self._calls = calls
        self._patience_seconds = patience_seconds

    def position(self) -> int:
        """The last position that was given: what is routed from now on is after it."""
        position: int = self._page(page_size=1)["position"]
        return position

    def newest(self) -> Iterator[Logged]:
        """All events that the key may see, the newest first, page by page."""
        query: dict[str, Any] = {}
        while True:
            page = self._page(**query)
            yield from map(Logged.of, page["results"])
            if page["next"] is None:
                return
            query = {"cursor": page["next"]}

    def after(self, position: int) -> list[Logged]:
        """The next events after this position, in their order; none yet: empty."""
        return list(map(Logged.of, self._page(after=position)["results"]))

    def _page(self, *, page_size: int = PAGE_SIZE, **query: Any) -> dict[str, Any]:
        given = urlencode({"page_size": page_size, **query})
        path = f"events/?{given}"
        return self._calls.get(path, patience_seconds=self._patience_seconds)
