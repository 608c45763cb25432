"""When a receiver is left alone, and when it is tried again: a pure state machine.

`closed` → `open` when different deliveries fail in a row, or one gets no working answer
twice without a success between. `open` → `draining` when a probe is acknowledged.
`draining` → `closed` when the chunks, which double with each success, are of full size
again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from router.contract.outcomes import FailureKind

#: The receiver acknowledged something so recently that it is probably well: it takes
#: `BUSY_FACTOR` times as many failures in a row to open the breaker.
RECENTLY = timedelta(minutes=1)
BUSY_FACTOR = 4
#: Probes in one round, and the pause between them.
ROUND_SIZE = 10
PAUSE_SECONDS = 0.5
#: After so many rounds, about ten minutes, rounds are rare and small.
MANY_ROUNDS = 24
LATE_ROUND_SIZE = 2
#: The longest wait between rounds while the receiver answers.
MAX_ANSWERED_WAIT_SECONDS = 30.0
#: Fewer different events than this are no proof that all of them are refused.
MIN_PROOF = 5


class BreakerState(StrEnum):
    """Whether a receiver that fails is left alone."""

    CLOSED = "closed"
    OPEN = "open"
    DRAINING = "draining"


@dataclass(frozen=True, kw_only=True)
class Waits:
    """How long an open breaker waits between rounds of probes."""

    first_seconds: float
    maximum_seconds: float

    def after_rounds(self, count: int, *, is_silent: bool) -> float:
        wait = self.first_seconds * 2.0 ** min(count, MANY_ROUNDS)
        is_often = not is_silent and count < MANY_ROUNDS
        longest = MAX_ANSWERED_WAIT_SECONDS if is_often else self.maximum_seconds
        return min(wait, longest, self.maximum_seconds)


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """The state of one subscriber's breaker."""

    state: BreakerState = BreakerState.CLOSED
    #: Different deliveries that failed since the last success.
    failed_in_a_row: tuple[int, ...] = ()
    #: Probes since the opening; a round that ends early counts as a whole one.
    probe_count: int = 0
    #: The largest chunk while it drains; None: no limit.
    ramp: int | None = None

    @property
    def is_open(self) -> bool:
        return self.state is BreakerState.OPEN

    def after_failure(
        self,
        delivery_id: int,
        kind: FailureKind,
        *,
        is_witnessed: bool,
        is_recent: bool,
        threshold: int,
    ) -> Breaker:
        """The breaker after a failure that a closed or draining one let through.

        `is_witnessed`: the event is known to fail while others succeed, so that only
        silence tells something of the receiver. `is_recent`: the receiver acknowledged
        something within `RECENTLY`.
        """
        if is_witnessed and kind is not FailureKind.SILENT:
            return self
        failed = tuple(dict.fromkeys((*self.failed_in_a_row, delivery_id)))
        # The last events of a backlog have no success after them.
        is_troubled = kind is FailureKind.TROUBLED and not is_recent
        is_down = is_troubled or kind is FailureKind.SILENT
        is_twice = is_down and delivery_id in self.failed_in_a_row
        if is_twice or len(failed) >= threshold * (BUSY_FACTOR if is_recent else 1):
            return Breaker(state=BreakerState.OPEN)
        return replace(self, failed_in_a_row=failed)

    def after_probe(self, kind: FailureKind, waits: Waits) -> tuple[Breaker, float]:
        """The open breaker after a probe that failed; seconds to the next probe."""
        rounds, is_last = self._round()
        is_silent = kind is FailureKind.SILENT
        if not (is_last or is_silent):
            return replace(self, probe_count=self.probe_count + 1), PAUSE_SECONDS
        after = replace(self, probe_count=(rounds + 1) * ROUND_SIZE)
        return after, waits.after_rounds(rounds + 1, is_silent=is_silent)

    def after_success(self, *, chunk_limit: int, has_more: bool) -> Breaker:
        """The breaker after a success that began since it opened."""
        ramp = 1 if self.is_open else 2 * (self.ramp or chunk_limit)
        if ramp >= chunk_limit or not has_more:
            return Breaker()
        return Breaker(state=BreakerState.DRAINING, ramp=ramp)

    def wants_new_event(self) -> bool:
        """Whether the next probe is an event that was never tried, if there is one;
        else it is the event that failed longest ago."""
        _, is_last = self._round()
        return not is_last

    def _round(self) -> tuple[int, bool]:
        """Rounds that are over; whether the next probe is the last of its round."""
        rounds, probe = divmod(self.probe_count, ROUND_SIZE)
        size = ROUND_SIZE if rounds < MANY_ROUNDS else LATE_ROUND_SIZE
        return rounds, probe + 1 >= size


class End(StrEnum):
    """What becomes of an outage that lasted for `GIVE_UP_AFTER_SECONDS`."""

    #: The receiver is silent: it is disabled, and every event stays owed.
    KEEP_ALL = "keep all"
    #: It is disabled; events that fail while others succeed are given up.
    GIVE_UP_WITNESSED = "give up witnessed"
    #: So few events failed that they may be to blame: they are given up.
    GIVE_UP_FAILED = "give up failed"


def end_of_outage(kind: FailureKind, *, failing_count: int) -> End:
    """What to do when nothing was acknowledged for `GIVE_UP_AFTER_SECONDS`.

    `kind` is the last probe's; `failing_count` counts the events that failed and are
    not known to fail while others succeed.
    """
    if kind is FailureKind.SILENT:
        return End.KEEP_ALL
    is_proof = failing_count >= MIN_PROOF
    return End.GIVE_UP_WITNESSED if is_proof else End.GIVE_UP_FAILED
