"""Which queue a subscriber's messages go to: slow work must not delay the rest."""

from __future__ import annotations

from collections.abc import Collection

from router.conf import QUEUES, SLOW, WEBHOOKS, conf
from router.models import REMOTE, Subscriber, SubscriberState, Transport


def queue_of(subscriber: Subscriber, served: Collection[str]) -> str:
    """The class of work of what is handed over to this subscriber.

    Its run time moves nobody to where no worker comes: `served` are the names of the
    broker's queues that some worker takes from.
    """
    if subscriber.transport in REMOTE:
        return WEBHOOKS
    if subscriber.fixed_queue:
        return subscriber.fixed_queue
    is_moved = _is_measured_slow(subscriber) and QUEUES[SLOW] in served
    return SLOW if is_moved else subscriber.queue


def unserved_queues(served: Collection[str]) -> list[str]:
    """The broker's queues that subscribers use and no worker serves."""
    pushed = Subscriber.objects.known().filter(state=SubscriberState.ACTIVE)
    queues = {
        QUEUES[queue_of(subscriber, served)]
        for subscriber in pushed.exclude(transport=Transport.PULL)
    }
    return sorted(queues.difference(served))


def _is_measured_slow(subscriber: Subscriber) -> bool:
    return (subscriber.mean_run_ms or 0) >= conf().slow_run_ms
