"""The leases that a consumer holds: extended while it works, then given up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from .calls import Calls
from .delivery import Delivery
from .errors import ClientError, Unavailable, Unreachable

#: Extended so often in the time of one lease, it survives a try that fails.
EXTENSIONS_PER_LEASE = 3
JOIN_SECONDS = 10.0
logger = logging.getLogger(__name__)


class Leases:
    """Extends what is held and not settled, in a thread of its own, until closed."""

    def __init__(self, calls: Calls, *, lease_seconds: float) -> None:
        self._calls = calls
        self._lease_seconds = lease_seconds
        self._pause_seconds = lease_seconds / EXTENSIONS_PER_LEASE
        self._held: dict[int, Delivery] = {}
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(
            target=self._extend_until_closed, name="router-leases", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_closed.set()
        self._thread.join(JOIN_SECONDS)

    def hold(self, deliveries: Iterable[Delivery]) -> None:
        with self._lock:
            self._held.update((delivery.id, delivery) for delivery in deliveries)

    def settle(self, verb: str, deliveries: Sequence[Delivery], **members: Any) -> None:
        """Acknowledge or nack these; they stay held until the router knows.

        What the router does not know by the end of a lease comes again anyway.
        """
        for delivery in deliveries:
            delivery.is_settled = True
        try:
            results = self._post(verb, deliveries, self._lease_seconds, **members)
        except (Unreachable, Unavailable) as error:
            ids = [delivery.id for delivery in deliveries]
            logger.error("Deliveries %s come again: no %s came through: %s",
                         ids, verb, error)  # fmt: skip
        else:
            for refused in results:
                logger.warning("Delivery %s: %s", refused["id"], refused["detail"])
        finally:
            self._let_go(deliveries)

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Let others have what has not begun, at once and with no failure counted."""
        if deliveries:
            self.settle("release", deliveries)

    def _let_go(self, deliveries: Iterable[Delivery]) -> None:
        with self._lock:
            for delivery in deliveries:
                self._held.pop(delivery.id, None)

    def _extend_until_closed(self) -> None:
        while not self._is_closed.wait(self._pause_seconds):
            try:
                self._extend()
            except ClientError as error:
                logger.warning("The leases were not extended: %s", error)

    def _extend(self) -> None:
        with self._lock:
            held = dict(self._held)
        if not held:
            return
        refused = self._post(
            "extend",
            list(held.values()),
            self._pause_seconds,
            lease_seconds=self._lease_seconds,
        )
        for result in refused:
            self._lose(held[result["id"]], result["detail"])

    def _lose(self, delivery: Delivery, why: str) -> None:
        self._let_go([delivery])
        # Settled meanwhile, there was nothing left to extend.
        if not delivery.is_settled:
            delivery.is_lost = True
            logger.warning("Delivery %s is not extended: %s", delivery.id, why)

    def _post(
        self,
        verb: str,
        deliveries: Iterable[Delivery],
        patience_seconds: float,
        **members: Any,
    ) -> list[dict[str, Any]]:
        """The entries that the router refused."""
        answer = self._calls.post(
            f"deliveries/{verb}/",
            {"deliveries": [each.entry for each in deliveries], **members},
            patience_seconds=patience_seconds,
        )
        return [entry for entry in answer["results"] if entry["status"] != 200]
