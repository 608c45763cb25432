"""Resend an event: retry a dead delivery, or make a new one of what is acknowledged."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.utils.translation import gettext

from router.contract.errors import NotResendable
from router.flow import audit
from router.flow.cursor.limit import is_full
from router.flow.cursor.runs import next_number
from router.flow.route.head import lock_head
from router.models import (
    Clock,
    Delivery,
    DeliveryQuerySet,
    DeliveryState,
    EventRecord,
    FailedTask,
    Origin,
    Subscriber,
)
from router.observe.outcome import Outcome, outcomes_of
from router.operate import failed_tasks
from router.operate.failed_tasks import BEYOND, too_many

UNSETTLED = (DeliveryState.PENDING, DeliveryState.LEASED, DeliveryState.DEAD)


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
        raise NotResendable(
            gettext("Its event was pruned: it is not in the log any more.")
        )
    _check(delivery)
    if delivery.state == DeliveryState.DEAD:
        return _revived(delivery, by, user, reason)
    owed = _new_run(delivery)
    audit.note(
        "delivery.resent",
        delivery,
        by=by,
        reason=reason,
        detail=f"as {owed.pk}",
    )
    return owed


@transaction.atomic
def resend_event(
    number: int,
    subscriber_id: int,
    *,
    by: str,
    user: AbstractBaseUser | None = None,
    reason: str = "",
) -> Delivery:
    """`resend` by event and subscriber: an event that a chunk of the stream
    acknowledged has no delivery.

    Raises `NotResendable` with the reason, also where the subscriber was never owed the
    event, or its cursor has not served it yet.
    """
    lock_head()
    held = EventRecord.objects.select_for_update(no_key=True).defer("data")
    event = held.filter(pk=number).first()
    if event is None:
        raise NotResendable(
            gettext("The event was pruned: it is not in the log any more.")
        )
    subscriber = Subscriber.objects.defer("custom_headers").get(pk=subscriber_id)
    runs = Delivery.objects.filter(event=event, subscriber=subscriber)
    # The cursor is read before the deliveries: set aside between the two, the event
    # would pass for one that is done.
    found = outcomes_of([event], runs)
    if found.deliveries:
        last = max(found.deliveries, key=_by_urgency)
        return resend(last.pk, by=by, user=user, reason=reason)
    _check_owed(event, subscriber)
    _refuse_unserved(event, subscriber, found.by_cursor)
    owed = _owe(event.pk, subscriber, run=next_number(subscriber.pk))
    audit.note(
        "event.resent",
        event,
        by=by,
        reason=reason,
        detail=f"to {subscriber.name} as delivery {owed.pk}",
    )
    return owed


def _by_urgency(delivery: Delivery) -> tuple[bool, int]:
    """What is not over comes first, then the last run."""
    return delivery.state in UNSETTLED, delivery.run


def _refuse_unserved(
    event: EventRecord, subscriber: Subscriber, outcomes: Iterable[Outcome]
) -> None:
    if event.position is None:
        raise NotResendable(gettext("It is not routed yet: it comes by itself."))
    states = [each.state for each in outcomes if each.subscriber.pk == subscriber.pk]
    if not states:
        raise NotResendable(
            gettext(
                "%(subscriber)s was not owed this event: it did not ask for it "
                "when it was routed, or was created later."
            )
            % {"subscriber": subscriber.name}
        )
    if states != [DeliveryState.ACKNOWLEDGED]:
        raise NotResendable(
            gettext("It is not served yet: it comes by itself in its turn.")
        )


def _check(delivery: Delivery) -> None:
    if delivery.state == DeliveryState.CANCELLED:
        raise NotResendable(gettext("It was cancelled: the event is no longer owed."))
    _check_owed(delivery.event, delivery.subscriber)
    others = _runs(delivery).filter(state__in=UNSETTLED).order_by("-run")
    earlier = others.first()
    if earlier is not None and earlier.pk != delivery.pk:
        raise NotResendable(
            gettext(
                "Delivery %(delivery)s of the same event is %(state)s: that "
                "comes first."
            )
            % {"delivery": earlier.pk, "state": earlier.state}
        )
    if delivery.state in (DeliveryState.PENDING, DeliveryState.LEASED):
        raise NotResendable(
            gettext("It is still owed: it comes by itself when it is due.")
        )


def _check_owed(event: EventRecord, subscriber: Subscriber) -> None:
    if subscriber.deleted_at is not None:
        raise NotResendable(gettext("Its subscriber was deleted: nobody would get it."))
    if not subscriber.may_receive(event):
        raise NotResendable(str(BEYOND))
    if is_full(subscriber.pk):
        raise NotResendable(too_many(subscriber))


def _revived(
    delivery: Delivery, by: str, user: AbstractBaseUser | None, reason: str
) -> Delivery:
    failed = FailedTask.objects.open().filter(delivery=delivery).first()
    if failed is None:
        raise NotResendable(
            gettext("It is dead, and its failed task is settled already.")
        )
    settled = failed_tasks.retry(
        [failed.pk], by=by, user=user, note=reason or "Sent again"
    )
    for _, why in settled.refused:
        raise NotResendable(why)
    delivery.refresh_from_db()
    return delivery


def _new_run(delivery: Delivery) -> Delivery:
    last = _runs(delivery).order_by("-run").values_list("run", flat=True)[0]
    # A release that counted by event may have used the next number.
    number = next_number(delivery.subscriber_id, above=last)
    return _owe(delivery.event_id, delivery.subscriber, run=number)


def _owe(number: int, subscriber: Subscriber, *, run: int) -> Delivery:
    owed = Delivery.objects.create(
        event_id=number,
        subscriber=subscriber,
        run=run,
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
