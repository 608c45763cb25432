"""How a subscriber is reached may change at any moment: nothing is lost or doubled."""

from __future__ import annotations

from django.db import transaction

from router.flow import breaker
from router.models import (
    UNLEASED,
    Clock,
    Delivery,
    DeliveryState,
    Subscriber,
    Transport,
)

#: Transport → the class of work that its deliveries are.
QUEUE_OF = {Transport.WEBHOOK: "webhooks", Transport.PULL: "default"}


@transaction.atomic
def switch_transport(subscriber_id: int, transport: Transport) -> None:
    """Reach this subscriber by webhook or by pull from now on.

    What is under way comes back and is due at once: its lease's token is cleared, so
    that a late acknowledgement by the old way hits nothing.
    """
    Subscriber.objects.select_for_update().get(pk=subscriber_id)
    Subscriber.objects.filter(pk=subscriber_id).update(
        transport=transport,
        queue=QUEUE_OF[transport],
        is_transactional=False,
        # Measured of the other way.
        mean_run_ms=None,
        paced_until=None,
        **breaker.AFRESH,
    )
    Delivery.objects.filter(
        subscriber=subscriber_id, state=DeliveryState.LEASED
    ).update(state=DeliveryState.PENDING, due_at=Clock(), **UNLEASED)
    Delivery.objects.filter(
        subscriber=subscriber_id, state=DeliveryState.PENDING
    ).exclude(dispatched_until=None).update(dispatched_until=None, dispatch_count=0)
