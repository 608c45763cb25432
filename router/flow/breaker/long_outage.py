"""What ends an outage of a receiver that acknowledged nothing for days."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from router.conf import conf
from router.contract.breaker import End, end_of_outage
from router.contract.outcomes import Dead, FailureKind, Retry
from router.flow.breaker.breaker import DRAINING, disable
from router.flow.dead_letter import give_up_unanswered
from router.models import (
    BreakerState,
    Delivery,
    DeliveryState,
    Subscriber,
    SubscriberState,
)


def end_if_too_long(delivery: Any, outcome: Retry | Dead) -> None:
    """Disable the subscriber, or give up what failed, if the outage is too long.

    In the transaction that settled the probe `delivery`, which locked its subscriber.
    """
    subscriber: Subscriber = delivery.subscriber
    limit = timedelta(seconds=conf().give_up_after_seconds)
    if not _is_over(subscriber, delivery.now - limit):
        return
    failed = Delivery.objects.filter(
        subscriber=subscriber,
        state=DeliveryState.PENDING,
        last_failed_at__isnull=False,
    )
    others = failed.filter(is_witnessed=False)
    kind = outcome.kind if isinstance(outcome, Retry) else FailureKind.REFUSED
    match end_of_outage(kind, failing_count=others.count()):
        case End.GIVE_UP_FAILED:
            give_up_unanswered(failed)
            Subscriber.objects.filter(pk=subscriber.pk).update(**DRAINING)
            return
        case End.GIVE_UP_WITNESSED:
            give_up_unanswered(failed.filter(is_witnessed=True))
        case End.KEEP_ALL:
            pass
    hours = limit.total_seconds() / 3600
    reason = f"It acknowledged nothing for {hours:.0f} hours."
    disable(subscriber, delivery, reason)


def _is_over(subscriber: Subscriber, since: Any) -> bool:
    is_active = subscriber.state == SubscriberState.ACTIVE
    if not is_active or subscriber.breaker != BreakerState.OPEN:
        return False
    began, last = subscriber.incident_since, subscriber.last_acknowledged_at
    return began is not None and began <= since and (last is None or last <= since)
