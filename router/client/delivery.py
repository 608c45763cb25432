"""One event under lease, and how its consumer settles it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from .event import Event

logger = logging.getLogger(__name__)


class Delivery:
    """One event owed to one subscriber, leased to this consumer.

    As a context (`with delivery as event:`) it is acknowledged at the end. An exception
    is logged, the delivery nacked with the exception's class as the reason, and the
    program goes on behind the block; what is no `Exception`, as Ctrl-C, goes through.
    """

    def __init__(
        self, leased: Mapping[str, Any], *, settle: Callable[..., None]
    ) -> None:
        self.id: int = leased["id"]
        #: Counts from 1.
        self.attempt: int = leased["attempt"]
        self.origin: str = leased["origin"]
        #: In the one order of the log.
        self.position: int | None = leased["position"]
        self.event = Event.from_cloudevent(leased["event"])
        #: Acknowledged, nacked or released, as far as this program knows.
        self.is_settled = False
        #: The lease can't be extended: another consumer may get it, now or soon.
        self.is_lost = False
        self._lease_token: str = leased["lease_token"]
        self._settle = settle

    @property
    def entry(self) -> dict[str, Any]:
        """How the API names it, with the proof of the lease."""
        return {"id": self.id, "lease_token": self._lease_token}

    def ack(self) -> None:
        """It is done: nobody gets it again.

        A lease that was lost is logged, as is a router that does not answer: the
        delivery then comes again. Raises `Refused` for a key that is not taken.
        """
        self._settle("ack", [self])

    def nack(self, *, reason: str = "", delay_seconds: float | None = None) -> None:
        """Not now: it comes again after `delay_seconds`, or as the schedule says.

        It counts as a failure, and at the last one an operator sees `reason`; logs and
        raises as `ack` does.
        """
        delay = {} if delay_seconds is None else {"delay_seconds": delay_seconds}
        self._settle("nack", [self], reason=reason[:500], **delay)

    def __enter__(self) -> Event:
        return self.event

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        is_failure = isinstance(error, Exception)
        if is_failure:
            logger.error("Delivery %s failed", self.id, exc_info=error)
        if not self.is_settled:
            self._settle_by(error)
        return is_failure

    def _settle_by(self, error: BaseException | None) -> None:
        if error is None:
            self.ack()
        else:
            self.nack(reason=type(error).__name__)
