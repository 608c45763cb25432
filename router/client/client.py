"""The client: publish, and consume."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from .calls import Calls
from .consumer import Consumer
from .event import data_members
from .log import Log
from .reconcile import Difference, Held, difference

STRUCTURED = "application/cloudevents+json"
BINARY = "application/octet-stream"


@dataclass(frozen=True, kw_only=True)
class Published:
    """What the router recorded; `is_new` is False when it was there already."""

    number: int
    id: str
    source: str
    is_new: bool


class Client:
    """Talks to the router at `base_url` with an API key; may be shared by threads.

    `timeout_seconds` is for one call, `patience_seconds` for all the tries of one
    publish. Raises `ValueError` for an address or a key that can't be one.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        timeout_seconds: float = 10,
        patience_seconds: float = 30,
    ) -> None:
        self._calls = Calls(base_url, key, timeout_seconds=timeout_seconds)
        self._patience_seconds = patience_seconds

    def publish(
        self,
        type: str,
        data: Any,
        *,
        source: str,
        id: str | None = None,
        time: datetime | None = None,
        datacontenttype: str = "",
        **attributes: str | int | bool,
    ) -> Published:
        """Have an event recorded, and owed to everybody whom it concerns.

        `data` is any JSON; text, or `bytes`, of a `datacontenttype`.
        `attributes` are `subject`, `partitionkey`, `dataschema`, `traceparent` and
        extensions of CloudEvents; `time` is aware. Without an `id` one is made, once:
        however often the call is sent, the event is recorded once. After an
        `Unreachable` it may be recorded; publish it again with the same `id`.
        Raises `Refused` or `Unreachable`.
        """
        event = {
            "specversion": "1.0",
            "id": id or str(uuid.uuid4()),
            "source": source,
            "type": type,
            **({"time": _rfc3339(time)} if time else {}),
            **{name: value for name, value in attributes.items() if value != ""},
            **_content(data, datacontenttype),
        }
        answer = self._calls.post(
            "events/",
            event,
            content_type=STRUCTURED,
            patience_seconds=self._patience_seconds,
        )
        return Published(
            number=answer["number"],
            id=answer["id"],
            source=answer["source"],
            is_new=answer["status"] == 202,
        )

    def consumer(
        self,
        name: str,
        *,
        lease_seconds: float = 30,
        batch: int = 10,
        wait_seconds: float = 5,
    ) -> Consumer:
        """A consumer of what the subscriber `name` is owed.

        `batch` deliveries are leased at once, each for `lease_seconds`, which are
        extended while the work lasts. With nothing due the router is asked to wait
        `wait_seconds`; so long may `stop()` take.
        """
        return Consumer(
            self._calls,
            name,
            lease_seconds=lease_seconds,
            batch=batch,
            wait_seconds=wait_seconds,
        )

    def log(self) -> Log:
        """The log, for a key that may manage: read, or followed by position."""
        return Log(self._calls, patience_seconds=self._patience_seconds)

    def reconcile(
        self,
        name: str,
        have: Iterable[Held],
        *,
        first: int | None = None,
        last: int | None = None,
    ) -> Difference:
        """What the receiver of the subscriber `name` lacks, and what it has too many.

        `have` is what it holds, each as (position, source, id); of it, what lies
        outside the window is passed over. Without `first` the window begins where the
        log is whole, without `last` it ends where the subscriber stands. An event that
        is on its way counts as missing. Raises `Refused` or `Unreachable`.
        """

        def ask(begin: int | None, end: int | None) -> dict[str, Any]:
            window = {"from": begin, "to": end}
            given = urlencode({k: v for k, v in window.items() if v is not None})
            path = f"subscribers/{quote(name, safe='')}/digest/?{given}"
            return self._calls.get(path, patience_seconds=self._patience_seconds)

        return difference(ask, have, first=first, last=last)


def _content(data: Any, datacontenttype: str) -> dict[str, Any]:
    kind = datacontenttype or (BINARY if isinstance(data, bytes) else "")
    return {**({"datacontenttype": kind} if kind else {}), **data_members(data)}


def _rfc3339(time: datetime) -> str:
    if time.tzinfo is None:
        raise ValueError("time must be aware: give it its zone.")
    return time.astimezone(UTC).isoformat()
