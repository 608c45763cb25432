"""The dispatcher's loop: routes, dispatches, sweeps, prunes, counts, and beats.

Run one or more; any may die at any time. It holds the only clock of the router, and
outlives whatever the database or the broker do.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event as Flag

from django.db import DatabaseError, InterfaceError, connection

from router.conf import conf
from router.contract.pacing import Every, Gathering, Slowing
from router.db.reachability import why
from router.flow.cancel import cancel_owed_to_deleted
from router.flow.causes import delete_unused_causes, group_by_cause
from router.flow.cursor.acknowledgements import Merging
from router.flow.cursor.deleted import delete_places_of_deleted
from router.flow.dispatch.dispatcher import Dispatcher
from router.flow.heartbeats import (
    beat,
    delete_stale,
    heartbeat_name,
    remove_heartbeat,
)
from router.flow.order import release_stuck
from router.flow.prune import Retention
from router.flow.ramped_retries import advance_ramped_retries
from router.flow.rollup import Rollups
from router.flow.route.batch import has_unrouted
from router.flow.route.low_water import LowWater
from router.flow.route.routing import NOTHING, Routed, route_batch
from router.flow.route.run_windows import finish_runs
from router.flow.route.streaming import start_waiting_streams
from router.flow.route.window import Windows
from router.flow.sweep import sweep, sweep_turns
from router.messaging.broker import BrokerTrouble, Doorbell
from router.models import Heartbeat

logger = logging.getLogger(__name__)

MAX_PAUSE_SECONDS = 5.0
#: What is left of processes that were killed, and of deleted subscribers, is deleted so
#: often, and it is asked whether the release before is gone.
STALE_LOOK_SECONDS = 60.0
#: The next look for new events comes after this share of the time since the last one;
#: the next look at what is due, after that of the time since the last event or message.
POLL_SHARE, DUE_SHARE = 0.025, 0.06


@dataclass(frozen=True, kw_only=True)
class Pauses:
    """The seconds between two looks."""

    #: What is new is looked for at each poll, what else is due less often: the first
    #: look is the cheaper one, and a customer waits for it.
    due_look: float = 0.015
    #: When nothing came for a while: a retry waits for half a second at least.
    idle_due_look: float = 0.1
    #: At a broker that is away.
    broker: float = 0.5


DEFAULT_PAUSES = Pauses()
#: A busy log is routed so often; each batch wakes every subscriber that wants some.
GATHER_SECONDS = 0.015


class DispatcherLoop:
    """One dispatcher."""

    def __init__(
        self,
        doorbell: Doorbell | None = None,
        *,
        pauses: Pauses = DEFAULT_PAUSES,
        beside: Callable[[], None] = lambda: None,
    ) -> None:
        """`beside` is called in each turn, and lets no failure of the database out."""
        self._doorbell = doorbell or Doorbell()
        self._dispatcher = Dispatcher(self._doorbell)
        self._name = heartbeat_name(Heartbeat.Kind.DISPATCHER)
        self.low_water = LowWater()
        self._windows = Windows()
        self._gathering = Gathering(GATHER_SECONDS)
        self._due_look = Every(pauses.due_look)
        self._due_pace = Slowing(
            share=DUE_SHARE, least=pauses.due_look, most=pauses.idle_due_look
        )
        self._routed_at = -math.inf
        self._stale_look = Every(STALE_LOOK_SECONDS)
        self._last_look_seconds = self._look_seconds = 0.0
        self._is_more_due = False
        self._sweep = Every(conf().sweep_seconds)
        self._beat = Every(conf().heartbeat_seconds)
        self._retention = Retention()
        self._merging = Merging()
        self._rollups = Rollups()
        self._beside = beside
        self._broker = Every(pauses.broker)
        self._is_broker_reachable: bool | None = None

    def run(self, stop: Flag) -> None:
        """Work until `stop` is set; while the database fails, wait for it."""
        pause = self.poll_seconds()
        while not stop.is_set():
            try:
                is_busy = self.tick()
                pause = 0.0 if is_busy else self.poll_seconds()
            except (DatabaseError, InterfaceError) as error:
                pause = min(MAX_PAUSE_SECONDS, max(0.1, pause * 2))
                logger.warning(
                    "The database failed (%s); again in %.1f s",
                    why(error),
                    pause,
                )
                connection.close()
                self.low_water = LowWater()
                self._dispatcher.forget()
                self._merging = Merging()
                self._rollups = Rollups()
            stop.wait(pause)
        self._end()

    def poll_seconds(self) -> float:
        """The seconds to wait after a turn without work."""
        least, most = conf().poll_seconds, conf().idle_poll_seconds
        slowing = Slowing(share=POLL_SHARE, least=least, most=most)
        pace = slowing.seconds(time.monotonic() - self._routed_at)
        # A long look is one over the dead index entries that an old transaction keeps.
        return max(pace, self._gathering.wait_seconds(), self._look_seconds)

    def tick(self) -> bool:
        """Do one turn; returns whether more work is likely to wait.

        A dispatcher that turned again at once for little would take the time that
        workers need, and hand them ever smaller chunks.
        """
        routed = self._route()
        if routed.chunks:
            self._hand_over(lambda: self._dispatcher.send(routed.chunks))
            # It would find nothing of these, and take the time that workers need now.
            self._due_look.postpone()
        if routed.delivery_count or self._is_more_due:
            self._is_more_due = self._hand_over(self._dispatcher.turn)
        elif self._is_due_look_due():
            self._is_more_due = self._hand_over(self._turn)
        if self._sweep.is_due():
            _sweep_all()
        self._windows.turn()
        self._retention.turn()
        self._merging.turn()
        self._rollups.turn()
        self._beside()
        if self._beat.is_due():
            self._hand_over(lambda: self._dispatcher.look_for_room(is_thorough=True))
            self._beat_heart()
            self._dispatcher.look_at_workers()
        if self._stale_look.is_due():
            delete_stale()
            delete_places_of_deleted()
            delete_unused_causes()
            start_waiting_streams()
        return routed.is_full or self._is_more_due

    def _is_due_look_due(self) -> bool:
        last_at = max(self._routed_at, self._dispatcher.sent_at)
        since = time.monotonic() - last_at
        return self._due_look.is_due(self._due_pace.seconds(since))

    def _route(self) -> Routed:
        after = self.low_water.start()
        if not self._is_any_unrouted(after):
            self.low_water.note_routed()
            return NOTHING
        routed = route_batch(
            after=after,
            has_room=self._dispatcher.has_room,
            fits=self._windows.fits,
            streamed=self._dispatcher.streamed,
        )
        self._windows.note_routed(routed.made, is_any_full=routed.is_any_full)
        self.low_water.note_routed(routed.last_number)
        self._dispatcher.wanted.note_routed(
            routed.after, routed.position, routed.wanted
        )
        self._routed_at = time.monotonic()
        if routed.event_count:
            self._gathering.note_batch()
        return routed

    def _is_any_unrouted(self, after: int) -> bool:
        began_at = time.monotonic()
        is_any = has_unrouted(after=after)
        seconds = time.monotonic() - began_at
        # Of two, the shorter one: now and then a busy machine makes one wait.
        self._look_seconds = min(seconds, self._last_look_seconds)
        self._last_look_seconds = seconds
        return is_any

    def _hand_over(self, send: Callable[[], object]) -> bool:
        """Send; returns whether more waits. A broker that is away is tried seldom."""
        if self._is_broker_reachable is False and not self._broker.is_due():
            return False
        try:
            if self._is_broker_reachable is False:
                # With nothing to send, it would never learn that the broker is away.
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
            remove_heartbeat(self._name)
        except (DatabaseError, InterfaceError):
            logger.info("The database was away at the end")


def _sweep_all() -> None:
    sweep()
    sweep_turns()
    cancel_owed_to_deleted()
    release_stuck()
    finish_runs()
    group_by_cause()
    advance_ramped_retries()
