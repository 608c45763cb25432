"""The dispatcher's loop: routes, dispatches and sweeps, and beats its heart.

Run one or more; any may die at any time. It holds the only clock of the router, and
outlives whatever the database or the broker do.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import time
from collections.abc import Callable
from threading import Event as Flag

from django.db import DatabaseError, InterfaceError, connection

from router.broker import BrokerTrouble, Doorbell
from router.conf import conf
from router.flow.beating import beat, fall_silent
from router.flow.cancelling import cancel_owed_to_deleted
from router.flow.dispatching import Dispatcher
from router.flow.reaching import why
from router.flow.routing import NOTHING, Routed, route_batch
from router.flow.sweeping import sweep
from router.flow.unrouted import has_unrouted
from router.models import Heartbeat

logger = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 5.0
BROKER_PAUSE_SECONDS = 0.5
#: What is new is looked for at each poll, what else is due less often: the first look
#: is the cheaper one, and a customer waits for it.
DUE_LOOK_SECONDS = 0.015
#: An event seldom comes alone.
LIVELY_SECONDS = 1.0


class Every:
    """Tells when it is time again, jittered so that several dispatchers spread."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next_at = 0.0
        self._may_wait = True

    def is_due(self) -> bool:
        if time.monotonic() < self._next_at:
            return False
        self._next_at = self._next()
        self._may_wait = True
        return True

    def put_off(self) -> None:
        """Wait anew, once between two times."""
        if self._may_wait:
            self._next_at = self._next()
            self._may_wait = False

    def _next(self) -> float:
        return time.monotonic() + self._seconds * random.uniform(0.8, 1.2)  # noqa: S311 - jitter


class LowWater:
    """Below this number everything is routed, so that a look skips what is behind.

    It lags a full look's time behind the last routed event: transactions that commit
    late, with a lower number, are still found at once. A full look finds the very late.
    """

    def __init__(self) -> None:
        self._full_look = Every(conf().full_look_seconds)
        self._mark = self._next_mark = 0

    def start(self) -> int:
        if self._full_look.is_due():
            self._mark, behind = self._next_mark, 0
            return behind
        return self._mark

    def routed(self, last_number: int) -> None:
        self._next_mark = max(self._next_mark, last_number)


class DispatcherLoop:
    """One dispatcher."""

    def __init__(self, doorbell: Doorbell | None = None) -> None:
        self._doorbell = doorbell or Doorbell()
        self._dispatcher = Dispatcher(self._doorbell)
        self._name = f"dispatcher@{socket.gethostname()}:{os.getpid()}"
        self._low_water = LowWater()
        self._due_look = Every(DUE_LOOK_SECONDS)
        self._lively_until = 0.0
        self._is_more_due = False
        self._sweep = Every(conf().sweep_seconds)
        self._beat = Every(conf().heartbeat_seconds)
        self._broker = Every(BROKER_PAUSE_SECONDS)
        self._is_broker_reachable: bool | None = None

    def run(self, stop: Flag) -> None:
        """Work until `stop` is set; a broken database is waited for."""
        pause = self._poll_seconds()
        while not stop.is_set():
            try:
                is_busy = self.tick()
                pause = 0.0 if is_busy else self._poll_seconds()
            except (DatabaseError, InterfaceError) as error:
                pause = min(LONGEST_PAUSE_SECONDS, max(0.1, pause * 2))
                logger.warning(
                    "The database failed (%s); again in %.1f s",
                    why(error),
                    pause,
                )
                connection.close()
            stop.wait(pause)
        self._end()

    def _poll_seconds(self) -> float:
        is_lively = time.monotonic() < self._lively_until
        pace = conf().poll_seconds
        return pace if is_lively else max(pace, conf().idle_poll_seconds)

    def tick(self) -> bool:
        """One turn; whether more is likely to wait.

        Whoever turned again at once for little would take the time that workers need,
        and hand them ever smaller chunks.
        """
        routed = self._route()
        if routed.chunks:
            self._hand_over(lambda: self._dispatcher.send(routed.chunks))
            # It would find nothing of these, and take the time that workers need now.
            self._due_look.put_off()
        if routed.has_rest or self._is_more_due:
            self._is_more_due = self._hand_over(self._dispatcher.turn)
        elif self._due_look.is_due():
            self._is_more_due = self._hand_over(self._turn)
        if self._sweep.is_due():
            sweep()
            cancel_owed_to_deleted()
        if self._beat.is_due():
            self._hand_over(lambda: self._dispatcher.look_for_room(is_thorough=True))
            self._beat_heart()
            self._dispatcher.look_at_workers()
        return routed.is_full or self._is_more_due

    def _route(self) -> Routed:
        after = self._low_water.start()
        if not has_unrouted(after=after):
            return NOTHING
        routed = route_batch(after=after, has_room=self._dispatcher.has_room)
        self._low_water.routed(routed.last_number)
        self._lively_until = time.monotonic() + LIVELY_SECONDS
        return routed

    def _hand_over(self, send: Callable[[], object]) -> bool:
        """Whether more waits; while the broker is away, ask it now and then only."""
        if self._is_broker_reachable is False and not self._broker.is_due():
            return False
        try:
            if self._is_broker_reachable is False:
                # Whoever has nothing to send would never learn that it is away.
                self._dispatcher.look_for_room(is_thorough=True)
            is_more = bool(send())
        except BrokerTrouble as error:
            self._note_broker(False, str(error))
            return False
        self._note_broker(True)
        return is_more

    def _turn(self) -> bool:
        is_more = self._dispatcher.turn()
        # Now, while nothing is new that would wait for the answer.
        self._dispatcher.look_for_room()
        return is_more

    def _note_broker(self, is_reachable: bool, why: str = "") -> None:
        if is_reachable == self._is_broker_reachable:
            return
        self._is_broker_reachable = is_reachable
        if is_reachable:
            logger.info("The broker answers")
        else:
            logger.warning("The broker is away (%s); what is owed waits", why)
        self._beat_heart()

    def _beat_heart(self) -> None:
        beat(
            self._name,
            Heartbeat.Kind.DISPATCHER,
            is_broker_reachable=self._is_broker_reachable,
        )

    def _end(self) -> None:
        self._doorbell.close()
        try:
            fall_silent(self._name)
        except (DatabaseError, InterfaceError):
            logger.info("The database was away at the end")
