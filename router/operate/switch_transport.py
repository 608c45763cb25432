"""Change a subscriber's transport and take back what is under way by the old one."""

from __future__ import annotations

from django.db import transaction

from router.conf import WEBHOOKS
from router.flow import order
from router.flow.breaker import breaker
from router.flow.cursor import turn
from router.flow.route.head import lock_head
from router.flow.route.streaming import stop_streaming
from router.models import (
    REMOTE,
    Clock,
    Delivery,
    Subscriber,
    Transport,
)

#: Transport → the class of work that its deliveries are.
QUEUE_OF = {**dict.fromkeys(REMOTE, WEBHOOKS), Transport.PULL: "default"}


def switch_transport(subscriber_id: int, transport: Transport) -> int:
    """Set the transport, and take back what is leased or on its way to a worker.

    In the caller's transaction or one of its own. Returns how many deliveries came
    back: they are due at once, and the holders of their leases can no longer settle
    them. The breaker starts anew: it knew the other receiver.
    """
    under_way = Delivery.objects.filter(subscriber=subscriber_id).in_flight()
    with transaction.atomic():
        lock_head()
        turn.lock(subscriber_id)
        # Deliveries before their subscriber, as a worker that settles locks them: the
        # other way round the two could wait for each other.
        list(under_way.select_for_update().order_by("pk").values_list("pk"))
        rows = Subscriber.objects.select_for_update().defer("custom_headers")
        subscriber = rows.get(pk=subscriber_id)
        if subscriber.transport == transport:
            return 0
        if subscriber.is_streamed:
            stop_streaming(subscriber)
        Subscriber.objects.filter(pk=subscriber_id).update(
            transport=transport,
            queue=QUEUE_OF[transport],
            is_transactional=False,
            paced_until=None,
            mean_run_ms=None,
            **breaker.UNTRIED,
        )
        # What was leased in between is not locked yet. A worker that settles it now
        # waits for the subscriber's row: waiting for the worker would be a deadlock.
        free = under_way.select_for_update(skip_locked=True)
        ids = list(free.values_list("pk", flat=True))
        under_way = Delivery.objects.filter(pk__in_array=ids)
        count = under_way.reschedule(Clock(), vanished=0)
        if subscriber.is_ordered:
            order.hold_again(ids)
        return count
