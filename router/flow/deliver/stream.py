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
from dataclasses import dataclass, replace

from django.db import DatabaseError, InterfaceError

from router.conf import conf
from router.contract.errors import LeaseLost
from router.contract.log_ids import log_ids
from router.contract.outcomes import Retry
from router.db.guard import Guard, isolate_hooks
from router.db.one_writer import others_may_write
from router.db.pipeline import own_transaction
from router.db.transient import is_session_lost, is_transient, reset_connection
from router.flow.breaker.pace import note_start
from router.flow.cursor import runs_in_stream as runs
from router.flow.cursor import turn
from router.flow.cursor.reading import Chunk, Streamed, next_chunk
from router.flow.deliver.running import (
    PARKED_SECONDS,
    NotAcknowledged,
    Runner,
    runner_of,
)
from router.flow.deliver.set_aside import (
    give_up_unfiltered,
    note_trouble,
    set_aside,
)
from router.flow.deliver.settling import note_run_time
from router.flow.deliver.stream_settling import acknowledge_chunk
from router.transports.evidence import evidence_of
from router.transports.time_limit import alarm_taken

logger = logging.getLogger(__name__)

#: A message serves its subscriber for so long, while there is more.
SERVE_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Part:
    """Events of a chunk that are settled together; they end at `until`."""

    events: Sequence[Streamed]
    until: int
    #: Of one event whose filter raised: it is given up without a run.
    filter_error: Exception | None = None

    def split(self, index: int) -> tuple[Part, Part | None]:
        """The first `index` events, and the rest, if there is one."""
        first, rest = self.events[:index], self.events[index:]
        if not rest:
            return self, None
        until = rest[0].position - 1
        return Part(events=first, until=until), Part(events=rest, until=self.until)

    def without(self, event: Streamed) -> Part:
        return replace(self, events=[each for each in self.events if each != event])


def serve(subscriber_id: int) -> None:
    """Serve the subscriber's live cursor and its runs, chunk by chunk, while there is
    more; beside live events no more than one chunk of a run."""
    began_at = time.monotonic()
    while True:
        # By this process's clock the lease begins before it does in the database.
        ends_at = time.monotonic() + conf().lease_seconds
        chunk = _next_chunk(subscriber_id)
        if chunk is None or not _carry_out(chunk, ends_at=ends_at):
            return
        has_more = chunk.has_more or runs.may_have(subscriber_id)
        if not has_more or time.monotonic() - began_at > SERVE_SECONDS:
            return
        # What is live for others may wait for this worker as well.
        if chunk.run is not None and runs.is_beside_live(subscriber_id):
            return


def _next_chunk(subscriber_id: int) -> Chunk | None:
    """Of the live cursor; of a run where that has none, or had several in a row."""
    if not runs.may_have(subscriber_id):
        return next_chunk(subscriber_id)
    places = [next_chunk, _chunk_of_run]
    if runs.is_turn_of_run(subscriber_id):
        places.reverse()
    for place in places:
        chunk = place(subscriber_id)
        if chunk is not None and (chunk.events or chunk.has_more):
            runs.note_chunk(
                subscriber_id,
                is_live=chunk.run is None,
                has_events=bool(chunk.events),
            )
            return chunk
    return None


def _chunk_of_run(subscriber_id: int) -> Chunk | None:
    run = runs.next_run(subscriber_id)
    if run is None:
        return None
    most_seconds = runs.most_seconds(subscriber_id)
    return next_chunk(subscriber_id, run=run, most_seconds=most_seconds)


def _carry_out(chunk: Chunk, *, ends_at: float) -> bool:
    """Run and settle all of a chunk; returns whether the next may follow at once."""
    if not chunk.events:
        return True
    name = chunk.subscriber.name
    runner = runner_of(name, ends_at=ends_at, is_again=chunk.run is not None)
    if runner is None or not runner.declaration.is_transactional:
        # Not transactional: what it does elsewhere would be done again with each cut.
        logger.error("No transactional handler named %s is installed here", name)
        turn.give_back(chunk.subscriber.pk, chunk.token, pause_seconds=PARKED_SECONDS)
        return False
    note_start(chunk.subscriber, len(chunk.events))
    with log_ids(subscriber=name):
        return Serving(chunk, runner).run()


class Serving:
    """A chunk under way: where its cursor is, and what is left of it."""

    def __init__(self, chunk: Chunk, runner: Runner) -> None:
        self._chunk = chunk
        self._runner = runner
        self._position = chunk.position
        self._parts = _parts_of(chunk)

    def run(self) -> bool:
        """Whether all of it was settled, and nothing speaks against the next chunk."""
        is_first = True
        while self._parts:
            part = self._parts.pop(0)
            if not (is_first or self._runner.has_time()):
                self._release()
                return False
            if not self._settle(part):
                return False
            is_first = False
        return True

    def _settle(self, part: Part) -> bool:
        """Settle a part, or cut it; returns whether to go on."""
        try:
            return self._settle_or_cut(part)
        except LeaseLost:
            logger.warning("%s: the lease was lost", self._chunk.subscriber.name)
        except (DatabaseError, InterfaceError) as error:
            # It counts no failure, and comes again.
            reset_connection(error)
            note_trouble(self._of(part), is_session_lost=is_session_lost(error))
        return False

    def _settle_or_cut(self, part: Part) -> bool:
        if part.filter_error is not None:
            self._give_up(part, part.filter_error)
            return True
        started_at = time.monotonic()
        try:
            self._run(part)
        except NotAcknowledged as failed:
            return self._note_failed(part, failed, started_at)
        except LeaseLost:
            raise
        except Exception as error:
            if isinstance(error, DatabaseError | InterfaceError) and is_transient(
                error
            ):
                raise
            reset_connection(error)
            return self._blame(part, error, started_at)
        return True

    def _run(self, part: Part) -> None:
        """Handlers and acknowledgement in one transaction: all of it or nothing. What
        no time is left for is the next part.

        Raises `NotAcknowledged`, `LeaseLost`, or what the database raises.
        """
        with others_may_write(), own_transaction() as may_commit:
            guard = Guard()
            with guard.watching(), alarm_taken():
                run_ms = self._runner.run(part.events)
            isolate_hooks()
            done, rest = part.split(len(run_ms))
            acknowledge_chunk(
                self._of(done),
                run_ms=run_ms,
                is_last=rest is None and not self._parts,
                guard=guard.name,
                may_commit=may_commit,
            )
        self._position = done.until
        self._parts[:0] = [rest] if rest else []

    def _note_failed(
        self, part: Part, failed: NotAcknowledged, started_at: float
    ) -> bool:
        """One event was not done; returns whether to go on with the others."""
        if failed.owed == part.events[0]:
            # It was alone: nothing ran before it in the transaction.
            alone, after = part.split(1)
            self._parts[:0] = [after] if after else []
            return self._set_aside(alone, failed)
        self._note_run_time(part, started_at)
        if isinstance(failed.outcome, Retry) and failed.outcome.is_time_limit:
            # Another run would cost its neighbours another whole time limit. The cursor
            # stays: what has a delivery is read by no chunk.
            self._parts.insert(0, part.without(failed.owed))
            alone = Part(events=[failed.owed], until=self._position)
            return self._set_aside(alone, failed)
        before, rest = part.split(part.events.index(failed.owed))
        alone, after = rest.split(1) if rest else (before, None)
        self._parts[:0] = [each for each in (before, alone, after) if each]
        return True

    def _blame(self, part: Part, error: Exception, started_at: float) -> bool:
        """The event to blame is not known: each runs alone."""
        if len(part.events) == 1:
            failed = NotAcknowledged(part.events[0], Retry(evidence_of(error)), 0.0)
            return self._set_aside(part, failed)
        self._note_run_time(part, started_at)
        rest: Part | None = part
        singles = []
        while rest is not None:
            single, rest = rest.split(1)
            singles.append(single)
        self._parts[:0] = singles
        return True

    def _set_aside(self, part: Part, failed: NotAcknowledged) -> bool:
        """Give a failed event a delivery of its own; returns whether to go on."""
        is_last = not self._parts
        is_left_alone = set_aside(
            self._of(part), failed.outcome, run_ms=failed.run_ms, is_last=is_last
        )
        self._position = part.until
        if is_left_alone and not is_last:
            self._release()
        return not is_left_alone

    def _give_up(self, part: Part, error: Exception) -> None:
        """An event whose filter raised: an operator must decide."""
        give_up_unfiltered(self._of(part), error, is_last=not self._parts)
        self._position = part.until

    def _note_run_time(self, part: Part, started_at: float) -> None:
        """A chunk that failed late may leave the lease no time to run in parts: without
        this, the same chunk would come again and fail as late, for ever."""
        run_ms = (time.monotonic() - started_at) * 1000 / len(part.events)
        note_run_time(self._chunk.subscriber.pk, run_ms)

    def _of(self, part: Part) -> Chunk:
        return self._chunk.only(part.events, position=self._position, until=part.until)

    def _release(self) -> None:
        turn.give_back(self._chunk.subscriber.pk, self._chunk.token)


def _parts_of(chunk: Chunk) -> list[Part]:
    """The chunk without the events that its filter rejects: in one part, but for each
    event whose filter raises."""
    if chunk.filter is None:
        return [Part(events=chunk.events, until=chunk.until)]
    parts: list[Part] = []
    wanted: list[Streamed] = []
    for event in chunk.events:
        try:
            if chunk.wants(event):
                wanted.append(event)
        except Exception as error:  # noqa: BLE001 - it becomes a failed task
            logger.warning("A filter failed: %s", type(error).__name__)
            if wanted:
                parts.append(Part(events=wanted, until=event.position - 1))
            wanted = []
            broken = Part(events=[event], until=event.position, filter_error=error)
            parts.append(broken)
    if wanted or not parts:
        return [*parts, Part(events=wanted, until=chunk.until)]
    return [*parts[:-1], replace(parts[-1], until=chunk.until)]
