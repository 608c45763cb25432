"""A bridge: takes from a foreign router, records, and acknowledges, until stopped."""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from threading import Event as Flag

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from router.conf import conf
from router.contract.masking import scrubbed, target_secrets
from router.db.transient import reset_connection
from router.flow.bridge.intake import Taken, take_in
from router.flow.heartbeats import beat, heartbeat_name, remove_heartbeat
from router.models import Heartbeat
from router.transports.consumer import Consumer
from router.transports.kinds import Bridge, open_consumer

logger = logging.getLogger(__name__)

#: Messages that are recorded in one transaction at most.
BATCH = 100
WAIT_SECONDS = 0.5
RETRY_FIRST_SECONDS = 0.5
MAX_RETRY_SECONDS = 15.0
#: Over which the rate is measured.
RATE_SECONDS = 60.0
MAX_ERROR_LENGTH = 300


class BridgeLoop:
    """Serves one bridge; any number of processes may serve the same."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._secrets = tuple(target_secrets(bridge.feed.model_dump()))
        self._name = heartbeat_name(Heartbeat.Kind.BRIDGE)
        self._beat_at = 0.0
        self._waiting: int | None = None
        self._taken: deque[tuple[float, int]] = deque()
        self._totals = dict.fromkeys(asdict(Taken()), 0)
        #: Of the outage that lasts; empty while all goes well.
        self._last_error = ""
        self._failed_at: datetime | None = None
        self._wait_seconds = RETRY_FIRST_SECONDS

    def run(self, stop: Flag) -> None:
        """Until `stop` is set; what fails is tried again after a wait that doubles."""
        while not stop.is_set():
            consumer: Consumer | None = None
            try:
                consumer = open_consumer(self._bridge)
                self._serve(consumer, stop)
            except Exception as error:  # noqa: BLE001 - it goes on when it can
                self._note(error)
            finally:
                # What was taken and not acknowledged comes again.
                if consumer is not None:
                    consumer.close()
            self._wait(stop)
        with suppress(DatabaseError, InterfaceError):
            remove_heartbeat(self._name)

    def _serve(self, consumer: Consumer, stop: Flag) -> None:
        """By one connection, while all goes well."""
        while not stop.is_set():
            incoming = consumer.receive(limit=BATCH, wait_seconds=WAIT_SECONDS)
            if incoming:
                taken = take_in(self._bridge.name, self._bridge.feed, incoming)
                consumer.acknowledge(incoming)
                self._count(taken)
            self._recover()
            if self._beat(is_connected=True):
                self._waiting = consumer.waiting()

    def _count(self, taken: Taken) -> None:
        counts = asdict(taken)
        self._taken.append((time.monotonic(), sum(counts.values())))
        for name, count in counts.items():
            self._totals[name] += count

    def _note(self, error: Exception) -> None:
        words = scrubbed(f"{type(error).__name__}: {error}", self._secrets)
        if not self._last_error:
            logger.warning("Bridge %s: %s", self._bridge.name, words)
        self._last_error = words[:MAX_ERROR_LENGTH]
        self._failed_at = timezone.now()
        if isinstance(error, DatabaseError | InterfaceError):
            reset_connection(error)
        self._beat_at = 0.0
        with suppress(DatabaseError, InterfaceError):
            self._beat(is_connected=False)

    def _recover(self) -> None:
        """Forget an outage that is over, and log its end."""
        self._wait_seconds = RETRY_FIRST_SECONDS
        if self._last_error:
            logger.info("Bridge %s takes messages again", self._bridge.name)
            self._last_error, self._failed_at = "", None
            self._beat_at = 0.0

    def _wait(self, stop: Flag) -> None:
        """Wait before the next try, with heartbeats: the process lives."""
        ends_at = time.monotonic() + self._wait_seconds
        self._wait_seconds = min(self._wait_seconds * 2, MAX_RETRY_SECONDS)
        while not stop.is_set() and (left := ends_at - time.monotonic()) > 0:
            with suppress(DatabaseError, InterfaceError):
                self._beat(is_connected=False)
            stop.wait(min(left, conf().heartbeat_seconds))

    def _beat(self, *, is_connected: bool) -> bool:
        """Write the heartbeat with what staff see of the bridge, when it is due.

        It asks the other router nothing: one that does not answer would make the bridge
        look dead. Returns whether it was due.
        """
        if time.monotonic() - self._beat_at < conf().heartbeat_seconds:
            return False
        self._beat_at = time.monotonic()
        details = {
            "bridge": self._bridge.name,
            "from": self._bridge.title,
            "is_connected": is_connected,
            "per_minute": self._per_minute(),
            "waiting": self._waiting if is_connected else None,
            "last_error": self._last_error,
            "failed_at": self._failed_at and self._failed_at.isoformat(),
            **self._totals,
        }
        beat(self._name, Heartbeat.Kind.BRIDGE, details=details)
        return True

    def _per_minute(self) -> int:
        begin = time.monotonic() - RATE_SECONDS
        while self._taken and self._taken[0][0] < begin:
            self._taken.popleft()
        return sum(count for _, count in self._taken)
