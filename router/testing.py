"""For users' test suites: deliver what is due, here and now.

No broker, no worker, no dispatcher: the same code as theirs, called in turn.

    def test_a_purchase_gives_points(db):
        publish("purchase.completed", data, source="/test")
        assert deliver_due() == 1
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models import F
from django.utils import timezone

from router.flow.deliver.delivering import deliver_chunk
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.route.batch import has_unrouted
from router.flow.route.routing import route_batch
from router.models import Delivery, DeliveryState, Subscriber
from router.operate.declared import register_declared
from router.registry import isolated

__all__ = ["deliver_due", "isolated_subscribers", "register_declared", "skip_waits"]


@contextmanager
def isolated_subscribers() -> Iterator[None]:
    """Within the block no subscriber is known but those that it declares.

    Call `register_declared()` after the declarations.
    """
    with isolated():
        Subscriber.objects.all().delete()
        yield


def deliver_due() -> int:
    """Route and deliver until nothing is due; returns the attempts that were made.

    What a handler publishes on the way is delivered as well. A failed delivery waits
    as it would; `skip_waits` makes it due.
    """
    attempts = 0
    while True:
        while has_unrouted():
            route_batch()
        due = subscribers_due()
        if not due:
            return attempts
        for subscriber in due:
            chunk = mark_chunk(subscriber)
            if chunk is not None:
                deliver_chunk(subscriber.pk, chunk.ids)
                attempts += len(chunk.ids)


def skip_waits() -> int:
    """Make every waiting delivery due now; returns how many waited.

    A receiver that is down, or asked for time, is tried now as well, and no rate is
    kept.
    """
    Subscriber.objects.filter(not_before__isnull=False).update(not_before=None)
    Subscriber.objects.filter(paced_until__isnull=False).update(paced_until=None)
    Subscriber.objects.filter(probe_at__isnull=False).update(probe_at=F("created_at"))
    return Delivery.objects.filter(
        state=DeliveryState.PENDING, due_at__gt=timezone.now()
    ).update(due_at=F("created_at"), dispatched_until=None)
