"""What every transport takes and gives: requests in, an answer to each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from router.contract.event import Event
from router.contract.outcomes import Outcome


@dataclass(frozen=True, kw_only=True)
class Request:
    """An event on its way to a receiver.

    `key` is the sender's own, to know the answer by; `webhook_id` is the same on every
    attempt and replay, receivers recognise doubles by it; `attempt` counts from 1,
    `origin` is why it is owed, `position` is the event's place in the log.
    """

    key: int
    event: Event
    webhook_id: str = ""
    attempt: int = 1
    origin: str = ""
    position: int = 0
    #: For people who look at traces: the subscriber's name, and whether it may have had
    #: the event before.
    subscriber: str = ""
    is_again: bool = False


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a request; `outcome` is None when it was not begun at all."""

    key: int
    outcome: Outcome | None
    run_ms: float = 0.0


@dataclass(kw_only=True)
class Terms:
    """How requests are sent: `in_flight` of them at once, `rate` beginning a second
    (None: no limit), each within `deadline_seconds`, none that could outlast `ends_at`
    of the monotonic clock.

    `is_ordered`: a receiver gets the events of one `partitionkey` one after the other;
    `dead_holds`: none that follows one that it refused for ever.
    """

    in_flight: int
    rate: float | None
    deadline_seconds: float
    ends_at: float
    is_ordered: bool = False
    dead_holds: bool = False
    _is_over: bool = field(default=False, init=False)

    def begin_no_more(self) -> None:
        """What is not begun yet gets an answer without an outcome."""
        self._is_over = True

    def may_begin(self) -> bool:
        has_time = time.monotonic() + self.deadline_seconds < self.ends_at
        return has_time and not self._is_over


class TransportProtocol(Protocol):
    """The way to one receiver; sees events, never the database's rows."""

    def send(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        """Try each request once; one answer to each, in waves as they come.

        An answer that is not yes is an outcome, not an exception. What is left when the
        caller stops asking is given up.
        """
        ...


def ms_since(started_at: float) -> float:
    """The run time of what began at `started_at` of the monotonic clock."""
    return (time.monotonic() - started_at) * 1000
