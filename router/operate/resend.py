"""Resend an event: retry a dead delivery, or make a new one of a finished one."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from router.contract.errors import NotResendable
from router.flow import audit
from router.flow.route.head import lock_head
from router.models import (
    Clock,
    Delivery,
    DeliveryQuerySet,
    DeliveryState,
    FailedTask,
    Origin,
)
from router.operate import failed_tasks
from router.operate.failed_tasks import BEYOND


@transaction.atomic
def resend(
    delivery_id: int,
    *,
    by: str,
    user: AbstractBaseUser | None = None,
    reason: str = "",
) -> Delivery:
    """Owe the event to the subscriber again, due now; returns what is owed.

    DEAD: its failed task is retried. ACKNOWLEDGED: a new delivery of the next run, with
    the origin `replay` and of no order; the subscriber gets an event that it has had.
    Raises `NotResendable` with the reason, also while another delivery of the event to
    the subscriber is open or dead.
    """
    # Every writer that makes deliveries holds the head; it also stops a second resend.
    lock_head()
    rows = Delivery.objects.select_related("subscriber", "event").defer(
        "event__data", "subscriber__custom_headers"
    )
    # Pruning passes over an event whose row is held, and this waits for one that goes.
    held = rows.select_for_update(no_key=True, of=("event",))
    delivery = held.filter(pk=delivery_id).first()
    if delivery is None:
        raise NotResendable("Its event was pruned: it is not in the log any more.")
    _check(delivery)
    if delivery.state == DeliveryState.DEAD:
        return _revived(delivery, by, user, reason)
    owed = _new_run(delivery)
    audit.note(
        "delivery.resent",
        f"delivery {delivery.pk}",
        by=by,
        reason=reason,
        detail=f"as {owed.pk}",
    )
    return owed


def _check(delivery: Delivery) -> None:
    if delivery.subscriber.deleted_at is not None:
        raise NotResendable("Its subscriber was deleted: nobody would get it.")
    if delivery.state == DeliveryState.CANCELLED:
        raise NotResendable("It was cancelled: the event is no longer owed.")
    if not delivery.subscriber.may_receive(delivery.event):
        raise NotResendable(BEYOND)
    unsettled = (DeliveryState.PENDING, DeliveryState.LEASED, DeliveryState.DEAD)
    others = _runs(delivery).filter(state__in=unsettled).order_by("-run")
    earlier = others.first()
    if earlier is not None and earlier.pk != delivery.pk:
        raise NotResendable(
            f"Delivery {earlier.pk} of the same event is {earlier.state}: that "
            "comes first."
        )
    if delivery.state in (DeliveryState.PENDING, DeliveryState.LEASED):
        raise NotResendable("It is still owed: it comes by itself when it is due.")


def _revived(
    delivery: Delivery, by: str, user: AbstractBaseUser | None, reason: str
) -> Delivery:
    failed = FailedTask.objects.open().filter(delivery=delivery).first()
    if failed is None:
        raise NotResendable("It is dead, and its failed task is settled already.")
    settled = failed_tasks.retry(
        [failed.pk], by=by, user=user, note=reason or "Sent again"
    )
    for _, why in settled.refused:
        raise NotResendable(why)
    delivery.refresh_from_db()
    return delivery


def _new_run(delivery: Delivery) -> Delivery:
    last = _runs(delivery).order_by("-run").values_list("run", flat=True)[0]
    owed = Delivery.objects.create(
        event_id=delivery.event_id,
        subscriber=delivery.subscriber,
        run=last + 1,
        origin=Origin.REPLAY,
        is_manual=True,
        due_at=Clock(),
        created_at=Clock(),
    )
    owed.refresh_from_db()
    return owed


def _runs(delivery: Delivery) -> DeliveryQuerySet:
    """Every delivery of the event to the subscriber."""
    return Delivery.objects.filter(
        event=delivery.event_id, subscriber=delivery.subscriber_id
    )
