"""Failed tasks retried together, and taken back before a worker has begun them.

The caller holds the head's lock for failed tasks of an ordered subscriber: routing then
decides nothing about their keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Exists, F, OuterRef, QuerySet

from router.flow import order
from router.flow.dead_letter import hold_or_pass
from router.models import (
    Clock,
    Delivery,
    DeliveryState,
    FailedTask,
    FailedTaskState,
    Reason,
)

#: The columns of a failed task that is open.
OPEN: dict[str, Any] = {
    "state": FailedTaskState.OPEN,
    "settled_at": None,
    "settled_by": None,
    "settled_by_name": "",
    "settled_note": "",
    "ramped_retry": None,
    "successor": None,
}


def revive(ids: Sequence[int], **columns: Any) -> int:
    """Retry these failed tasks of one subscriber that are open; returns how many were.

    `columns` of the failed tasks are written, too.
    """
    rows = FailedTask.objects.open().filter(pk__in_array=ids).order_by("pk")
    locked = rows.select_for_update(of=("self",)).values_list("pk", "delivery_id")
    tasks = dict(locked)
    FailedTask.objects.filter(pk__in_array=list(tasks)).update(
        state=FailedTaskState.RETRIED, settled_at=Clock(), **columns
    )
    deliveries = list(tasks.values())
    dead = Delivery.objects.filter(pk__in_array=deliveries, state=DeliveryState.DEAD)
    dead.revive()
    order.rejoin(deliveries)
    return len(tasks)


def take_back(tasks: QuerySet[FailedTask]) -> int:
    """Open those of these retried failed tasks of one subscriber again that no worker
    has begun since; returns how many they were."""
    later = FailedTask.objects.filter(previous=OuterRef("pk"))
    unbegun = tasks.filter(
        ~Exists(later),
        state=FailedTaskState.RETRIED,
        successor=None,
        delivery__state=DeliveryState.PENDING,
        delivery__attempts=F("attempts"),
    ).select_related("delivery")
    locked = unbegun.select_for_update(of=("self", "delivery")).order_by("pk")
    rows = list(locked.defer("traceback"))
    if not rows:
        return 0
    deliveries = [row.delivery for row in rows]
    Delivery.objects.filter(pk__in_array=[row.pk for row in deliveries]).dead_letter(
        is_manual=False
    )
    _leave_places(deliveries)
    FailedTask.objects.filter(pk__in_array=[row.pk for row in rows]).update(**OPEN)
    return len(rows)


def undo_discard(tasks: QuerySet[FailedTask]) -> int:
    """Open these discarded failed tasks again; returns how many they were.

    The events of their keys that came after them stay as they are: a retry gives each
    a new place in the order. The caller holds the events: pruning passes over them.
    """
    later = FailedTask.objects.filter(previous=OuterRef("pk"))
    discarded = tasks.filter(
        ~Exists(later),
        state=FailedTaskState.DISCARDED,
        delivery__state=DeliveryState.CANCELLED,
    ).select_related("delivery")
    locked = discarded.select_for_update(of=("self", "delivery")).order_by("pk")
    rows = {row.pk: row.delivery_id for row in locked.defer("traceback")}
    deliveries = Delivery.objects.filter(pk__in_array=list(rows.values()))
    deliveries.dead_letter(ordering_key="")
    return FailedTask.objects.filter(pk__in_array=list(rows)).update(**OPEN)


def undo_substitute(tasks: QuerySet[FailedTask]) -> int:
    """Cancel what takes the place of these failed tasks' deliveries and that no worker
    has begun, and open the failed tasks again; returns how many they were."""
    unbegun = tasks.filter(
        delivery__state=DeliveryState.CANCELLED,
        successor__state=DeliveryState.PENDING,
        successor__attempts=0,
    ).select_related("delivery", "successor")
    locked = unbegun.select_for_update(of=("self", "delivery", "successor"))
    rows = list(locked.order_by("pk").defer("traceback"))
    for row in rows:
        _swap_back(row)
    FailedTask.objects.filter(pk__in=[row.pk for row in rows]).update(**OPEN)
    return len(rows)


def _swap_back(task: FailedTask) -> None:
    """The dead delivery takes its place in the order again, where its substitute, to
    the same subscriber, has it."""
    substitute, dead = task.successor, task.delivery
    assert substitute is not None  # nosec B101  # the rows were asked for by it
    is_same = substitute.subscriber_id == dead.subscriber_id
    dead.ordering_key = substitute.ordering_key if is_same else ""
    Delivery.objects.filter(pk=substitute.pk).cancel(ordering_key="")
    rows = Delivery.objects.filter(pk=dead.pk)
    rows.dead_letter(ordering_key=dead.ordering_key, is_manual=False)
    _leave_places([dead])


def _leave_places(deliveries: Sequence[Delivery]) -> None:
    ordered = [row for row in deliveries if row.ordering_key]
    if ordered:
        order.lock_subscriber(ordered[0].subscriber_id)
    for delivery in ordered:
        hold_or_pass(delivery, Reason.EXHAUSTED)
