"""How long things took, and what was posted twice, from the logs of a cell. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.checker import Outcome
from tests.chaos.history import Checkout, Effect
from tests.chaos.subscribers import HOOK

#: What a fault has hit is slower for so long after it.
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
        checkout.took_ms
        for checkout in checkouts
        if checkout.outcome is Outcome.OK
        and not any(window.meets(checkout) for window in own_faults)
    )


def percentile(ascending: Sequence[float], share: float) -> float:
    if not ascending:
        return 0.0
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]


def longest_stall(checkouts: Iterable[Checkout], effects: Iterable[Effect]) -> float:
    """The most seconds from a confirmed checkout to the first effect of a subscriber.

    What never came has no time: it is lost or stuck.
    """
    confirmed = {
        checkout.order: checkout.ended_at
        for checkout in checkouts
        if checkout.outcome is Outcome.OK
    }
    first: dict[tuple[str, str], float] = {}
    for effect in effects:
        pair = (effect.order, effect.subscriber)
        first[pair] = min(effect.at, first.get(pair, effect.at))
    waits = [
        at - (confirmed[order] or at)
        for (order, _), at in first.items()
        if order in confirmed
    ]
    return max(waits, default=0.0)


def reposted_percent(effects: Iterable[Effect]) -> float:
    """Posts beyond the first of each order, of all orders that were posted."""
    posts = [effect.order for effect in effects if effect.subscriber == HOOK]
    orders = set(posts)
    return 100 * (len(posts) - len(orders)) / max(1, len(orders))


def changed_ids(effects: Iterable[Effect]) -> list[str]:
    """Orders that were posted under more than one `webhook-id`.

    Their receiver cannot recognise the second post.
    """
    ids: dict[str, set[str]] = defaultdict(set)
    for effect in effects:
        if effect.subscriber == HOOK:
            ids[effect.order].add(effect.webhook_id)
    return [order for order, seen in ids.items() if len(seen) > 1]
