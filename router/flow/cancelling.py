"""What a deleted subscriber was owed is owed no more."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Exists, OuterRef

from router.models import (
    UNLEASED,
    Clock,
    Delivery,
    DeliveryState,
    FailedTask,
    FailedTaskState,
    Subscriber,
)

#: One step is short, however much was owed: the rest is the next sweep's.
BATCH = 5000
NOTE = "The subscriber was deleted."


def cancel_owed_to_deleted() -> int:
    """Cancel the next batch; returns how many deliveries were cancelled.

    Deleting does the first step itself; the dispatcher's sweep does the others, and
    those of a deletion that was cut off.
    """
    is_owed = Exists(Delivery.objects.open().filter(subscriber=OuterRef("pk")))
    is_failed = Exists(FailedTask.objects.open().filter(subscriber=OuterRef("pk")))
    deleted = Subscriber.objects.filter(deleted_at__isnull=False)
    found = deleted.filter(is_owed | is_failed).values_list("pk", flat=True).first()
    if found is None:
        return 0
    return _cancel_open(found) + _cancel_dead(found)


@transaction.atomic
def _cancel_open(subscriber_id: int) -> int:
    rows = Delivery.objects.open().filter(subscriber=subscriber_id)
    locked = rows.select_for_update(skip_locked=True, of=("self",)).order_by("pk")
    return _cancel(list(locked.values_list("pk", flat=True)[:BATCH]))


@transaction.atomic
def _cancel_dead(subscriber_id: int) -> int:
    rows = FailedTask.objects.open().filter(subscriber=subscriber_id)
    locked = rows.select_for_update(skip_locked=True, of=("self",)).order_by("pk")
    failed = dict(locked.values_list("pk", "delivery_id")[:BATCH])
    FailedTask.objects.filter(pk__in=failed).update(
        state=FailedTaskState.DISCARDED, settled_at=Clock(), settled_note=NOTE
    )
    return _cancel(list(failed.values()))


def _cancel(ids: list[int]) -> int:
    return Delivery.objects.filter(pk__in=ids).update(
        state=DeliveryState.CANCELLED, **UNLEASED
    )
