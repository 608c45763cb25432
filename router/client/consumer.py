"""Consume: pull what a subscriber is owed, one after the other."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from typing import Any
from urllib.parse import quote

from .calls import Calls, sleep_unless
from .delivery import Delivery
from .errors import ClientError, Unavailable, Unreachable
from .event import Event
from .leases import Leases

#: An answer with nothing in it is not asked for more often than this.
IDLE_SECONDS = 1.0
logger = logging.getLogger(__name__)


class Consumer:
    """What one subscriber is owed, without end: made by `Client.consumer`.

        for event in consumer:
            work(event)

    An event is acknowledged when the loop comes back for the next one. A loop that is
    left, by an exception in its body, `break` or `return`, can't be told apart: the
    event at hand is nacked, and what has not begun is given back. To end without a
    nack call `stop()`; to outlive exceptions use `deliveries()`:

        for delivery in consumer.deliveries():
            with delivery as event:
                work(event)

    An outage of the router is waited out; other refusals are raised. One consumer is
    for one loop in one thread; make several to work side by side.
    """

    def __init__(
        self,
        calls: Calls,
        name: str,
        *,
        lease_seconds: float,
        batch: int,
        wait_seconds: float,
    ) -> None:
        self._calls = calls
        self._path = f"subscribers/{quote(name, safe='')}/pull/"
        self._lease_seconds = lease_seconds
        self._wait_seconds = wait_seconds
        self._asked = {
            "max": batch,
            "lease_seconds": lease_seconds,
            "wait_seconds": wait_seconds,
        }
        self._is_stopping = False

    def __iter__(self) -> Iterator[Event]:
        with closing(self.deliveries()) as deliveries:
            for delivery in deliveries:
                yield delivery.event
                delivery.ack()

    def deliveries(self) -> Generator[Delivery, None, None]:
        """The deliveries, each to be settled before the next: by `with`, `ack` or
        `nack`. One that is not is nacked, with a warning."""
        with Leases(self._calls, lease_seconds=self._lease_seconds) as leases:
            while not self._is_stopping:
                yield from self._each(self._pull(leases), leases)

    def stop(self) -> None:
        """End the loop when its body is through; what has not begun is given back.

        May be called in any thread, and in a signal's handler.
        """
        self._is_stopping = True

    def stop_on_signals(self) -> None:
        """Call `stop()` on SIGTERM and Ctrl-C; a second Ctrl-C interrupts as usual.

        Only in the main thread; raises `ValueError` in another.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop_on)

    def _stop_on(self, number: int, _: object) -> None:
        self.stop()
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)

    def _each(self, pulled: deque[Delivery], leases: Leases) -> Iterator[Delivery]:
        try:
            while pulled and not self._is_stopping:
                if pulled[0].is_lost:
                    break
                delivery = pulled.popleft()
                yield delivery
                _settle_forgotten(delivery)
        except GeneratorExit:
            _nack_left(delivery)
            raise
        finally:
            with suppress(ClientError):
                leases.release(pulled)

    def _pull(self, leases: Leases) -> deque[Delivery]:
        asked_at = time.monotonic()
        answer = self._ask()
        pulled = deque(
            Delivery(leased, settle=leases.settle) for leased in answer["deliveries"]
        )
        leases.hold(pulled)
        if not pulled:
            # From the answer on: asked sooner, the router has no room for one more.
            asked_to_wait = answer.get("retry_after_seconds") or 0
            idle_for = IDLE_SECONDS - (time.monotonic() - asked_at)
            sleep_unless(lambda: self._is_stopping, max(idle_for, asked_to_wait))
        return pulled

    def _ask(self) -> dict[str, Any]:
        try:
            return self._calls.post(
                self._path,
                self._asked,
                patience_seconds=math.inf,
                wait_seconds=self._wait_seconds,
                is_stopping=lambda: self._is_stopping,
            )
        except (Unreachable, Unavailable):
            if self._is_stopping:
                return {"deliveries": []}
            raise


def _settle_forgotten(delivery: Delivery) -> None:
    if not delivery.is_settled:
        logger.warning("Delivery %s was not settled; it is nacked", delivery.id)
        delivery.nack(reason="The consumer settled it in no way.")


def _nack_left(delivery: Delivery) -> None:
    """The loop is being left: no error of ours may take its reason's place."""
    if delivery.is_settled:
        return
    try:
        delivery.nack(reason="The consumer left its loop.")
    except ClientError as error:
        logger.warning("Delivery %s was not nacked: %s", delivery.id, error)
