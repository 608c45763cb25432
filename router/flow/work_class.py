"""Which queue a subscriber's work goes to: what is slow must not hold up the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from router.conf import QUEUES, SLOW, WEBHOOKS, conf
from router.models import Heartbeat, Subscriber, SubscriberState, Transport


def queue_of(subscriber: Subscriber) -> str:
    """The class of work of what is handed over to this subscriber."""
    if subscriber.transport == Transport.WEBHOOK:
        return WEBHOOKS
    if subscriber.fixed_queue:
        return subscriber.fixed_queue
    return SLOW if _is_measured_slow(subscriber) else subscriber.queue


def served_queue_of(subscriber: Subscriber, served: Collection[str]) -> str:
    """The same; its run time moves nobody to where no worker would come.

    `served` are names of the broker's queues.
    """
    queue = queue_of(subscriber)
    is_served = QUEUES[queue] in served or not is_moved(subscriber)
    return queue if is_served else subscriber.queue


def is_moved(subscriber: Subscriber) -> bool:
    """Whether its run time alone says another queue than its code declares."""
    is_handler = subscriber.transport == Transport.HANDLER
    is_measured = is_handler and not subscriber.fixed_queue
    return is_measured and queue_of(subscriber) != subscriber.queue


def unserved_queues(workers: Iterable[Heartbeat]) -> list[str]:
    """The broker's queues that somebody's work goes to, and none of these workers
    takes it from."""
    served = {queue for beat in workers for queue in beat.queues}
    pushed = Subscriber.objects.known().filter(state=SubscriberState.ACTIVE)
    queues = {
        QUEUES[served_queue_of(one, served)]
        for one in pushed.exclude(transport=Transport.PULL)
    }
    return sorted(queues - served)


def _is_measured_slow(subscriber: Subscriber) -> bool:
    return (subscriber.mean_run_ms or 0) >= conf().slow_run_ms
