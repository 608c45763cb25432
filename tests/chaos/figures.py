"""How long things took, from the logs of a cell. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.checker import Told
from tests.chaos.history import Checkout, Done

#: Until whoever was hit is as before.
AFTERWARDS_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Window:
    """From a fault's beginning to its end, in seconds since the epoch."""

    began_at: float
    ended_at: float

    def meets(self, checkout: Checkout) -> bool:
        return (
            checkout.began_at <= self.ended_at + AFTERWARDS_SECONDS
            and (checkout.ended_at or checkout.began_at) >= self.began_at
        )


def latencies(
    checkouts: Iterable[Checkout], own_faults: Sequence[Window] = ()
) -> list[float]:
    """Milliseconds that confirmed checkouts took, ascending.

    Without those that met one of `own_faults`: while the database is gone, or the
    publisher itself stands still, a checkout waits with or without a router.
    """
    return sorted(
        one.took_ms
        for one in checkouts
        if one.told is Told.OK and not any(window.meets(one) for window in own_faults)
    )


def percentile(ascending: Sequence[float], share: float) -> float:
    if not ascending:
        return 0.0
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]


def longest_stall(checkouts: Iterable[Checkout], effects: Iterable[Done]) -> float:
    """The most seconds from a confirmed checkout to the first effect of a subscriber.

    What never came has no time: it is lost or stuck.
    """
    confirmed = {one.order: one.ended_at for one in checkouts if one.told is Told.OK}
    first: dict[tuple[str, str], float] = {}
    for done in effects:
        pair = (done.order, done.subscriber)
        first[pair] = min(done.at, first.get(pair, done.at))
    waits = [
        at - (confirmed[order] or at)
        for (order, _), at in first.items()
        if order in confirmed
    ]
    return max(waits, default=0.0)
