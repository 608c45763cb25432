"""What an attempt ends in: exactly one of these, matched exhaustively."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class FailureKind(StrEnum):
    """What a failed attempt says of the receiver."""

    #: No answer came.
    SILENT = "silent"
    #: An answer that speaks of the receiver's own trouble: 408, 425, 429, 5xx; in a
    #: handler `ConnectionError`.
    TROUBLED = "troubled"
    #: Any other answer that is not yes.
    REFUSED = "refused"
    #: The receiver wants nothing any more: HTTP 410.
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What was sent to a receiver outside, and what it answered.

    `request` has the address and the headers, without signatures and secrets; `answer`
    is the first KiB of the body as text; `status` is None when nothing was answered.
    """

    request: Mapping[str, Any]
    status: int | None = None
    answer: str = ""


@dataclass(frozen=True)
class Evidence:
    """What is kept of a failure: the kind of error, its message and its traceback.

    `kind` is the name of an error's class, or a word in its style. Notices repeat the
    kind and never the message, which may quote a customer.
    """

    kind: str = ""
    message: str = ""
    traceback: str = ""
    exchange: Exchange | None = None

    @property
    def error(self) -> str:
        """Kind and message as people read them, and as they are stored."""
        return f"{self.kind}: {self.message}" if self.message else self.kind

    @classmethod
    def stored(cls, error: str, traceback: str) -> Evidence:
        """The evidence whose `error` was stored."""
        kind, _, message = error.partition(":")
        return cls(kind, message.removeprefix(" "), traceback)


@dataclass(frozen=True)
class Acknowledged:
    """Done."""

    exchange: Exchange | None = None


@dataclass(frozen=True)
class Retry:
    """Not now: again after `after_seconds`, or when the schedule says (None).

    `is_asked`: the receiver asked to be called again later, which is no failure.
    """

    evidence: Evidence
    after_seconds: float | None = None
    kind: FailureKind = FailureKind.REFUSED
    is_time_limit: bool = False
    is_asked: bool = False


@dataclass(frozen=True)
class Dead:
    """Never: a failed task waits for an operator."""

    evidence: Evidence


Outcome = Acknowledged | Retry | Dead


class RetryLater(Exception):
    """Raised by a handler: not now, again after `after_seconds`.

    Without `after_seconds` the subscriber's retry schedule decides. It counts as no
    failure until the event has failed for `GIVE_UP_AFTER_SECONDS`.
    """

    def __init__(self, reason: str = "", *, after_seconds: float | None = None) -> None:
        super().__init__(reason or "The handler asked to be called again later.")
        if after_seconds is not None and after_seconds < 0:
            raise ValueError("after_seconds must not be negative.")
        self.after_seconds = after_seconds


class Reject(Exception):
    """Raised by a handler: this event will never succeed; open a FailedTask now."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
