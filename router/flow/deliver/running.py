"""Runs a handler for one event; an answer that is not yes is raised."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from router.conf import conf
from router.contract.errors import DowngradeFailed
from router.contract.event import Event
from router.contract.log_ids import current_log_ids, log_ids
from router.contract.outcomes import Acknowledged, Dead, Retry
from router.flow.publish import causation
from router.flow.publish.downgrades import as_pinned
from router.registry import Declaration, find
from router.tracing.spans import traced_runs
from router.transports.evidence import evidence_of
from router.transports.handler import HandlerTransport

#: Until code that knows the handler may be here.
PARKED_SECONDS = 60.0


class Owed(Protocol):
    """A delivery, or an event of the log, that is to be run."""

    @property
    def causation_depth(self) -> int: ...
    #: Whether the subscriber may have had the event before.
    @property
    def is_again(self) -> bool: ...
    @property
    def log_ids(self) -> Mapping[str, int]: ...
    #: This one included.
    @property
    def attempts(self) -> int: ...
    def to_event(self) -> Event: ...


class NotAcknowledged(Exception):
    """Rolls the shared transaction back: this one was not done."""

    def __init__(self, owed: Any, outcome: Retry | Dead, run_ms: float):
        super().__init__()
        self.owed = owed
        self.outcome = outcome
        self.run_ms = run_ms


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Runs the handler of one subscriber under one lease."""

    declaration: Declaration
    #: Of the message, by the monotonic clock of this process; no lease ends earlier.
    ends_at: float
    #: Whether all that it runs is of a run.
    is_again: bool = False

    @cached_property
    def limit_seconds(self) -> float:
        return self.declaration.time_limit_seconds or conf().time_limit_seconds

    def has_time(self) -> bool:
        """Whether a run that takes its whole time limit ends in time."""
        return time.monotonic() + self.limit_seconds < self.ends_at

    def run(self, owed: Sequence[Owed]) -> list[float]:
        """Call the handler for the first and, while there is time, for the others;
        returns the run time in ms of each. Raises `NotAcknowledged`.

        What it does beside the handler it does for each event that there is.
        """
        name, run = self.declaration.name_in_ids, self._transport.run
        run_traced = traced_runs(self.declaration.name, run)
        times: list[float] = []
        ids, began_at = current_log_ids(), time.monotonic()
        last_at = self.ends_at - self.limit_seconds
        with causation.caused() as cause, log_ids() as log:
            for each in owed:
                if times and began_at >= last_at:
                    break
                event = self._event_of(each)
                is_again = each.is_again or self.is_again
                cause(causation.Cause(event, name, each.causation_depth, is_again))
                log({**ids, **each.log_ids})
                outcome = (
                    run_traced(event, each, is_again) if run_traced else run(event)
                )
                ended_at = time.monotonic()
                run_ms, began_at = (ended_at - began_at) * 1000, ended_at
                if not isinstance(outcome, Acknowledged):
                    raise NotAcknowledged(each, outcome, run_ms)
                times.append(run_ms)
        return times

    def _event_of(self, owed: Owed) -> Event:
        """In the version that the code here declares. Raises `NotAcknowledged`."""
        event = owed.to_event()
        pins = self.declaration.dataschemas
        if not pins:
            return event
        try:
            return as_pinned(event, pins)
        except DowngradeFailed as error:
            raise NotAcknowledged(owed, Dead(evidence_of(error)), 0.0) from None

    @cached_property
    def _transport(self) -> HandlerTransport:
        return HandlerTransport(self.declaration, limit_seconds=self.limit_seconds)


def runner_of(name: str, *, ends_at: float, is_again: bool = False) -> Runner | None:
    """The runner of the handler with this name; None where none is installed here."""
    declaration = find(name)
    if declaration is None:
        return None
    return Runner(declaration=declaration, ends_at=ends_at, is_again=is_again)
