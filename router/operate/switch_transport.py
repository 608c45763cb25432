"""Another way to a subscriber: what was under way the old way is taken back."""

from __future__ import annotations

from django.db import transaction

from router.conf import WEBHOOKS
from router.flow.breaker import breaker
from router.models import (
    Clock,
    Delivery,
    Subscriber,
    Transport,
)

#: Transport → the class of work that its deliveries are.
QUEUE_OF = {Transport.WEBHOOK: WEBHOOKS, Transport.PULL: "default"}


def switch_transport(subscriber_id: int, transport: Transport) -> int:
    """Set the transport, and take back what is leased or on its way to a worker.

    In the caller's transaction or one of its own. Returns how many deliveries came
    back: they are due at once, and whoever had their leases can't settle them any
    more. Of the breaker nothing is left: it knew the other receiver.
    """
    under_way = Delivery.objects.filter(subscriber=subscriber_id).in_flight()
    with transaction.atomic():
        # Deliveries before their subscriber, as whoever settles locks them: the other
        # way round two of them could wait for each other.
        list(under_way.select_for_update().order_by("pk").values_list("pk"))
        rows = Subscriber.objects.select_for_update().defer("custom_headers")
        subscriber = rows.get(pk=subscriber_id)
        if subscriber.transport == transport:
            return 0
        Subscriber.objects.filter(pk=subscriber_id).update(
            transport=transport,
            queue=QUEUE_OF[transport],
            is_transactional=False,
            paced_until=None,
            mean_run_ms=None,
            **breaker.UNTRIED,
        )
        # What was leased in between is not locked yet. Whoever settles it now waits for
        # the subscriber, and has it settled: waiting for them in turn would never end.
        free = under_way.select_for_update(skip_locked=True).values("pk")
        return Delivery.objects.filter(pk__in=free).reschedule(Clock(), vanished=0)
