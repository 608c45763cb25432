"""Steps 4 to 6 in the stream: claim, run and settle the next events of a cursor.

The handlers of a chunk share one transaction with the move of the cursor: effects and
acknowledgement commit together or not at all. When one fails, what came before it runs
again and commits, the failed one runs alone and is set aside if it fails again, and the
rest goes on as a chunk. The cursor never waits for an event that fails.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import DatabaseError, Error, InterfaceError

from router.conf import conf
from router.contract.errors import LeaseLost
from router.contract.log_ids import log_ids
from router.contract.outcomes import Dead, Evidence, Retry
from router.db.guard import Guard, isolate_hooks
from router.db.pipeline import own_transaction
from router.db.transient import is_session_lost, is_transient, reset_connection
from router.flow.cursor import turn
from router.flow.cursor.reading import Chunk, Streamed, next_chunk
from router.flow.deliver.running import (
    PARKED_SECONDS,
    NotAcknowledged,
    Runner,
    runner_of,
)
from router.flow.deliver.set_aside import note_trouble, set_aside
from router.flow.deliver.settling import note_run_time
from router.flow.deliver.stream_settling import acknowledge_chunk
from router.transports.evidence import evidence_of

logger = logging.getLogger(__name__)

#: A message serves its subscriber for so long, while there is more.
SERVE_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Part:
    """Events of a chunk that are settled together; they end at `until`."""

    events: Sequence[Streamed]
    until: int
    #: Of one event that failed by its time limit: it is set aside without another run.
    failed: NotAcknowledged | None = None


def serve(subscriber_id: int) -> None:
    """Serve the subscriber's live cursor, chunk by chunk, while there is more."""
    began_at = time.monotonic()
    while chunk := next_chunk(subscriber_id):
        ends_at = time.monotonic() + conf().lease_seconds
        if chunk.events and not _carry_out(chunk, ends_at=ends_at):
            return
        if not chunk.has_more or time.monotonic() - began_at > SERVE_SECONDS:
            return


def _carry_out(chunk: Chunk, *, ends_at: float) -> bool:
    """Run and settle all of a chunk; returns whether the next may follow at once."""
    runner = runner_of(chunk.subscriber.name, ends_at=ends_at)
    if runner is None:
        logger.error("No handler named %s is installed here", chunk.subscriber.name)
        _release(chunk, pause_seconds=PARKED_SECONDS)
        return False
    with log_ids(subscriber=chunk.subscriber.name):
        return Serving(chunk, runner).run()


def _release(chunk: Chunk, *, pause_seconds: float = 0.0) -> None:
    turn.give_back(chunk.subscriber.pk, chunk.token, pause_seconds=pause_seconds)


class Serving:
    """A chunk under way: where its cursor is, and what is left of it."""

    def __init__(self, chunk: Chunk, runner: Runner) -> None:
        self._chunk = chunk
        self._runner = runner
        self._position = chunk.position
        self._parts = [Part(events=chunk.events, until=chunk.until)]

    def run(self) -> bool:
        """Whether all of it was settled, and nothing speaks against the next chunk."""
        while self._parts:
            part = self._parts.pop(0)
            is_first = self._position == self._chunk.position
            if not (is_first or self._runner.has_time()):
                self._release()
                return False
            if not self._settle(part):
                return False
        return True

    def _settle(self, part: Part) -> bool:
        """Run and settle a part, or cut it; returns whether to go on."""
        if part.failed is not None:
            return self._set_aside(part, part.failed)
        started_at = time.monotonic()
        try:
            self._run(part)
        except NotAcknowledged as failed:
            if len(part.events) == 1:
                return self._set_aside(part, failed)
            self._note_run_time(part, started_at)
            self._cut(part, failed)
        except LeaseLost:
            logger.warning("%s: the lease was lost", self._chunk.subscriber.name)
            return False
        except (DatabaseError, InterfaceError) as error:
            reset_connection(error)
            if is_transient(error):
                return self._note_trouble(part, error)
            return self._blame(part, error, started_at)
        except Exception as error:  # noqa: BLE001 - single runs will show the culprit
            reset_connection(error)
            return self._blame(part, error, started_at)
        return True

    def _run(self, part: Part) -> None:
        """Handlers and acknowledgement in one transaction: all of it or nothing.

        Raises `NotAcknowledged`, `LeaseLost`, or what the database raises.
        """
        run_ms: list[float] = []
        with own_transaction() as may_commit:
            guard = Guard()
            with guard.watching():
                part = self._run_while_there_is_time(part, run_ms)
            isolate_hooks()
            acknowledge_chunk(
                self._of(part),
                run_ms=run_ms,
                is_last=not self._parts,
                guard=guard.name,
                may_commit=may_commit,
            )
        self._position = part.until

    def _run_while_there_is_time(self, part: Part, run_ms: list[float]) -> Part:
        """Run one after the other; returns what ran. What had no time left is the next
        part."""
        for index, event in enumerate(part.events):
            if index and not self._runner.has_time():
                first, rest = _split(part, index)
                self._parts.insert(0, rest)
                return first
            if self._is_wanted(event):
                run_ms.append(self._runner.run(event))
        return part

    def _is_wanted(self, event: Streamed) -> bool:
        """Whether the filter of its period lets it through.

        Raises `NotAcknowledged` where the filter fails: it decides nothing.
        """
        if self._chunk.filter is None:
            return True
        try:
            return event.passes(self._chunk.filter)
        except Exception as error:  # noqa: BLE001 - it becomes a failed task
            evidence = Evidence("FilterFailed", type(error).__name__)
            raise NotAcknowledged(event, Dead(evidence), 0.0) from error

    def _cut(self, part: Part, failed: NotAcknowledged) -> None:
        """What came before it goes first, then the failed one alone, then the rest."""
        before, rest = _split(part, part.events.index(failed.owed))
        alone, after = _split(rest, 1)
        if isinstance(failed.outcome, Retry) and failed.outcome.is_time_limit:
            # Another run would cost its neighbours another whole time limit.
            alone = Part(events=alone.events, until=alone.until, failed=failed)
        self._parts[:0] = [each for each in (before, alone, after) if each.events]

    def _blame(self, part: Part, error: Exception, started_at: float) -> bool:
        """Nobody knows which one it was: each runs alone."""
        if len(part.events) == 1:
            failed = NotAcknowledged(part.events[0], Retry(evidence_of(error)), 0.0)
            return self._set_aside(part, failed)
        self._note_run_time(part, started_at)
        rest = part
        singles = []
        while len(rest.events) > 1:
            first, rest = _split(rest, 1)
            singles.append(first)
        self._parts[:0] = [*singles, rest]
        return True

    def _set_aside(self, part: Part, failed: NotAcknowledged) -> bool:
        """Give a failed event a delivery of its own; returns whether to go on."""
        try:
            is_left_alone = set_aside(
                self._of(part), failed.outcome, run_ms=failed.run_ms
            )
        except LeaseLost:
            logger.warning("%s: the lease was lost", self._chunk.subscriber.name)
            return False
        self._position = part.until
        if is_left_alone or not self._parts:
            self._release()
        return not is_left_alone

    def _note_trouble(self, part: Part, error: Error) -> bool:
        """A passing error of the database counts no failure, and comes again alone."""
        note_trouble(self._of(part), is_session_lost=is_session_lost(error))
        return False

    def _note_run_time(self, part: Part, started_at: float) -> None:
        """A chunk that failed late may leave the lease no time to run in parts: without
        this, the same chunk would come again and fail as late, for ever."""
        run_ms = (time.monotonic() - started_at) * 1000 / len(part.events)
        note_run_time(self._chunk.subscriber.pk, run_ms)

    def _of(self, part: Part) -> Chunk:
        return self._chunk.only(part.events, position=self._position, until=part.until)

    def _release(self) -> None:
        _release(self._chunk)


def _split(part: Part, index: int) -> tuple[Part, Part]:
    """The first `index` events of a part, and the others."""
    first, rest = part.events[:index], part.events[index:]
    # Without events it ends where nothing of it is passed over.
    last = first[-1].position if first else part.until
    if not rest:
        return part, Part(events=(), until=part.until)
    return Part(events=first, until=last), Part(events=rest, until=part.until)
