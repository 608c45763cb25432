"""When an alert opens and closes, so that what goes up and down makes no row of alerts.

An alert opens once its value has been at the limit for a while, and closes once the
value has been at half of it, or below, for a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

#: The share of the limit at or below which a value is calm.
CALM_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The value of a rule, and the limit from which it is too high; 0: never."""

    value: float
    limit: float

    @property
    def is_over(self) -> bool:
        return 0 < self.limit <= self.value

    @property
    def is_calm(self) -> bool:
        return not self.limit or self.value <= self.limit * CALM_SHARE


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What is kept of a value that was too high: since when, when its alert opened, and
    since when the value is calm."""

    since: datetime
    opened_at: datetime | None = None
    calm_since: datetime | None = None


class Step(Enum):
    """What to do after a reading."""

    NOTHING = auto()
    #: It is too high now: watch it.
    WATCH = auto()
    #: It is too high no more, and no alert opened: watch it no longer.
    FORGET = auto()
    OPEN = auto()
    #: It is calm now.
    CALM = auto()
    #: It was calm, and is so no more.
    STIR = auto()
    CLOSE = auto()


@dataclass(frozen=True, kw_only=True)
class Hysteresis:
    """How long a value is too high before its alert opens, and calm before it closes;
    in seconds."""

    opens_after: float
    closes_after: float

    def step(self, watched: Watched | None, reading: Reading, now: datetime) -> Step:
        """The next step of a value that is watched, or is not (None)."""
        if watched is None:
            return Step.WATCH if reading.is_over else Step.NOTHING
        if watched.opened_at is None:
            return self._before_opening(watched, reading, now)
        return self._after_opening(watched, reading, now)

    def _before_opening(
        self, watched: Watched, reading: Reading, now: datetime
    ) -> Step:
        if not reading.is_over:
            return Step.FORGET
        is_long = now - watched.since >= timedelta(seconds=self.opens_after)
        return Step.OPEN if is_long else Step.NOTHING

    def _after_opening(self, watched: Watched, reading: Reading, now: datetime) -> Step:
        if not reading.is_calm:
            return Step.STIR if watched.calm_since else Step.NOTHING
        if watched.calm_since is None:
            return Step.CALM
        is_long = now - watched.calm_since >= timedelta(seconds=self.closes_after)
        return Step.CLOSE if is_long else Step.NOTHING
