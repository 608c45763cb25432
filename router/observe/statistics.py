"""What a subscriber did within an hour, a day or a week, and what it is owed now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from router.models import Subscriber
from router.observe.overview import SubscriberOverview, subscribers_overview
from router.observe.series import (
    Bucket,
    Window,
    percentile,
    series,
    success_rate,
    summed,
)
from router.observe.situation import Situation


@dataclass(frozen=True)
class Statistics:
    """Of one subscriber, from the rollups and from what is open."""

    overview: SubscriberOverview
    situation: Situation
    window: Window
    buckets: Sequence[Bucket]

    def of(self, window: Window) -> Statistics:
        """The same for another window; one statement where it is another."""
        return self if window is self.window else statistics_in(self.situation, window)

    @cached_property
    def attempts(self) -> dict[str, int]:
        """Ended attempts by their result, in small letters."""
        return summed(each.attempts for each in self.buckets)

    @cached_property
    def _waits(self) -> dict[str, int]:
        return summed(each.waits for each in self.buckets)

    @property
    def seconds(self) -> float:
        """How long the buckets are together."""
        return sum(each.seconds for each in self.buckets)

    @property
    def acknowledged_per_second(self) -> float:
        return sum(each.acknowledged for each in self.buckets) / self.seconds

    @property
    def failed_per_second(self) -> float:
        return sum(each.failed for each in self.buckets) / self.seconds

    @property
    def success_rate(self) -> float | None:
        """The share of the ended attempts that were acknowledged; None without any."""
        return success_rate(self.buckets)

    def latency(self, share: float) -> float | None:
        """Seconds from recording to acknowledgement; None without acknowledgements."""
        return percentile(self._waits, share)

    @property
    def oldest_owed_seconds(self) -> float | None:
        oldest = self.overview.oldest_owed_at
        now = self.situation.now
        return None if oldest is None else max(0.0, (now - oldest).total_seconds())

    @property
    def last_error(self) -> str:
        """Of what is owed, else of the newest failed task; "" where neither failed."""
        return self.situation.failure(self.overview)


def statistics_of(subscriber: Subscriber, window: Window) -> Statistics:
    """Raises `Subscriber.DoesNotExist` where it was deleted meanwhile."""
    return statistics_in(Situation.of([overview_of(subscriber)]), window)


def statistics_in(situation: Situation, window: Window) -> Statistics:
    """Of the one subscriber of a situation. One statement."""
    [overview] = situation.overviews
    pk = overview.subscriber.pk
    buckets = series(window, now=situation.now, subscriber_id=pk)
    return Statistics(overview, situation, window, buckets)


def overview_of(subscriber: Subscriber) -> SubscriberOverview:
    """Raises `Subscriber.DoesNotExist` where it was deleted meanwhile."""
    for overview in subscribers_overview():
        if overview.subscriber.pk == subscriber.pk:
            return overview
    raise Subscriber.DoesNotExist
