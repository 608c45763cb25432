"""Cancels deliveries of deleted subscribers, and those beyond a subscriber's limits."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery

from router.db.patterns import within
from router.db.statements import Select
from router.flow import order
from router.models import (
    OWN_TYPES,
    Clock,
    Delivery,
    DeliveryState,
    FailedTask,
    FailedTaskState,
    Subscriber,
)

#: One step is short, however much was owed: the next sweep does the rest.
BATCH = 5000
MAX_SUBSCRIBERS = 20
NOTE = "The subscriber was deleted."


def cancel_owed_to_deleted() -> int:
    """Cancel the next batch; returns how many deliveries were cancelled.

    Deleting a subscriber does the first step itself; the dispatcher's sweep does the
    rest, and the steps of a deletion that was cut off. Once nothing is open for a
    subscriber it is marked, and never looked at again.
    """
    if not _LOOK.rows():
        return 0
    _mark_finished()
    cancelled = 0
    to_do = _unfinished().order_by("pk").values_list("pk", flat=True)
    for subscriber_id in list(to_do[:MAX_SUBSCRIBERS]):
        if cancelled < BATCH:
            cancelled += _cancel_owed_to(subscriber_id)
    return cancelled


def cancel_beyond_limits(subscriber: Subscriber) -> int:
    """Cancel what is owed to the subscriber beyond its new limits; returns how many.

    In the transaction that sets them. Failed tasks stay, and can't be retried.
    """
    allowed = within("event__type", subscriber.allowed_types) & within(
        "event__source", subscriber.allowed_sources
    )
    open_rows = Delivery.objects.filter(subscriber=subscriber).open()
    # Its own test events lie within any limits; corrected events do not.
    beyond = open_rows.exclude(
        event__only_for__isnull=False, event__type__startswith=OWN_TYPES
    ).exclude(allowed)
    locked = beyond.order_by("pk").select_for_update(of=("self",))
    ids = list(locked.values_list("pk", flat=True))
    cancelled = _cancel(ids)
    if subscriber.is_ordered:
        order.lock_subscriber(subscriber.pk)
        order.release_next(ids)
    return cancelled


def _unfinished() -> QuerySet[Subscriber]:
    return Subscriber.objects.filter(deleted_at__isnull=False, cancelled_at=None)


def _cancel_owed_to(subscriber_id: int) -> int:
    cancelled = sum(_cancel_open(rows) for rows in _open_deliveries(subscriber_id))
    return cancelled + _cancel_dead(subscriber_id)


def _open_deliveries(subscriber_id: Any) -> list[QuerySet[Delivery]]:
    """Pending and leased deliveries, each in the order of its index.

    In another order, or with both in one query, PostgreSQL may read the whole table.
    """
    rows = Delivery.objects.filter(subscriber=subscriber_id)
    pending = rows.filter(state=DeliveryState.PENDING)
    return [pending.order_by("due_at", "id"), rows.leased().order_by("leased_until")]


@transaction.atomic
def _cancel_open(rows: QuerySet[Delivery]) -> int:
    locked = rows.select_for_update(skip_locked=True, of=("self",))
    return _cancel(list(locked.values_list("pk", flat=True)[:BATCH]))


@transaction.atomic
def _cancel_dead(subscriber_id: int) -> int:
    rows = FailedTask.objects.open().filter(subscriber=subscriber_id)
    locked = rows.select_for_update(skip_locked=True, of=("self",))
    failed = dict(locked.values_list("pk", "delivery_id")[:BATCH])
    if not failed:
        return 0
    FailedTask.objects.filter(pk__in=failed).update(
        state=FailedTaskState.DISCARDED, settled_at=Clock(), settled_note=NOTE
    )
    return _cancel(list(failed.values()))


def _cancel(ids: list[int]) -> int:
    if not ids:
        return 0
    return Delivery.objects.filter(pk__in_array=ids).cancel()


def _mark_finished() -> None:
    """Mark the deleted subscribers with nothing open, in one statement.

    A worker may hold rows that a step skipped. Whatever it makes of them, an open
    delivery or an open failed task, one snapshot shows one of the two.
    """
    pending, leased = _open_deliveries(OuterRef("pk"))
    failed = FailedTask.objects.open().filter(subscriber=OuterRef("pk"))
    rows = _unfinished().alias(
        next_pending=Subquery(pending.values("pk")[:1]),
        next_leased=Subquery(leased.values("pk")[:1]),
        next_failed=Subquery(failed.values("pk")[:1]),
    )
    rows.filter(
        next_pending__isnull=True, next_leased__isnull=True, next_failed__isnull=True
    ).update(cancelled_at=Clock())


_LOOK = Select(lambda: _unfinished().order_by("pk").values_list("pk")[:1])
