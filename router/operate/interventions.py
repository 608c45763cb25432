"""What an operator does against a breaker: try now, close it, skip an event."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router.contract.errors import DoesNotApply
from router.contract.outcomes import Evidence
from router.flow import audit
from router.flow.breaker import breaker
from router.flow.breaker.held import held_because
from router.flow.cursor import turn
from router.flow.cursor.above import is_owed_above
from router.flow.dead_letter import give_up, last_evidence
from router.models import (
    BreakerState,
    Clock,
    Delivery,
    DeliveryState,
    FailedTask,
    Reason,
    Subscriber,
    SubscriberState,
)

#: Why a delivery that no longer waits can't be skipped.
NOT_WAITING = {
    DeliveryState.LEASED: _("An attempt is under way; skip it once that has ended."),
    DeliveryState.ACKNOWLEDGED: _("The event is acknowledged already."),
    DeliveryState.DEAD: _("It was given up already: see its failed task."),
    DeliveryState.CANCELLED: _("It was cancelled: it is owed no more."),
}


@transaction.atomic
def try_now(subscriber_id: int, *, by: str, reason: str = "") -> None:
    """Send the next probe at once, or what the receiver asked to wait with.

    A subscriber of the stream with nothing but its cursor is tried with the next event
    above it. Raises `DoesNotApply`.
    """
    turn.ring_again(subscriber_id)
    row = _locked(subscriber_id)
    if held_because(row) is None:
        raise DoesNotApply(gettext("Nothing is held: what is due goes out as it is."))
    is_open = row.breaker == BreakerState.OPEN
    waiting = Delivery.objects.filter(subscriber=row, state=DeliveryState.PENDING)
    in_turn = waiting.filter(due_at__isnull=False).order_by("due_at", "id")
    first = in_turn.values_list("pk", flat=True).first()
    if first is None and not is_owed_above(row):
        raise DoesNotApply(
            gettext("Nothing waits for it: the next event is tried at once.")
        )
    rows = Delivery.objects.filter(pk__in=[] if first is None else [first])
    rows.filter(due_at__gt=Clock()).update(due_at=Clock())
    changes: dict[str, Any] = {"probe_at": Clock()} if is_open else {}
    Subscriber.objects.filter(pk=row.pk).update(not_before=None, **changes)
    _note("subscriber.tried_now", row, by=by, reason=reason)


@transaction.atomic
def close_breaker(subscriber_id: int, *, by: str, reason: str = "") -> None:
    """Send what an open breaker holds, at a ramp. Raises `DoesNotApply`."""
    turn.ring_again(subscriber_id)
    row = _locked(subscriber_id)
    if row.breaker != BreakerState.OPEN:
        raise DoesNotApply(gettext("The breaker is not open: it holds nothing."))
    Subscriber.objects.filter(pk=row.pk).update(**breaker.DRAINING)
    _note("subscriber.breaker_closed", row, by=by, reason=reason)


@transaction.atomic
def skip(delivery_id: int, *, by: str, reason: str = "") -> FailedTask:
    """Give the event up now, with a failed task; the rest goes on.

    Raises `DoesNotApply` unless the delivery waits, `Delivery.DoesNotExist`.
    """
    delivery = (
        Delivery.objects.select_for_update(of=("self",))
        .select_related("event", "subscriber")
        .defer("subscriber__custom_headers", "event__data")
        .get(pk=delivery_id)
    )
    if delivery.state != DeliveryState.PENDING:
        raise DoesNotApply(str(NOT_WAITING[DeliveryState(delivery.state)]))
    # Concurrent deaths of one subscriber see each other by its row.
    Subscriber.objects.select_for_update().only("pk").get(pk=delivery.subscriber_id)
    failed = give_up(delivery, reason=Reason.SKIPPED, evidence=_evidence(delivery))
    _close_if_idle(delivery.subscriber)
    audit.note(
        "delivery.skipped",
        delivery,
        by=by,
        reason=reason,
        detail=f"failed task {failed.pk}",
    )
    return failed


def _locked(subscriber_id: int) -> Subscriber:
    rows = Subscriber.objects.known().select_for_update()
    row: Subscriber = rows.get(pk=subscriber_id)
    if row.state != SubscriberState.ACTIVE:
        raise DoesNotApply(
            gettext("It is %(state)s: resume it.") % {"state": row.state}
        )
    return row


def _note(action: str, row: Subscriber, *, by: str, reason: str) -> None:
    audit.note(action, row, by=by, reason=reason)


def _evidence(delivery: Delivery) -> Evidence:
    last = last_evidence(delivery)
    return last if last.error else Evidence("Skipped", "it was never tried.")


def _close_if_idle(subscriber: Subscriber) -> None:
    """Nothing is left to probe with: the next event must not wait for a probe."""
    open_rows = Delivery.objects.filter(subscriber=subscriber).open()
    if open_rows.filter(due_at__isnull=False).exists() or is_owed_above(subscriber):
        return
    rows = Subscriber.objects.filter(pk=subscriber.pk, breaker=BreakerState.OPEN)
    rows.update(**breaker.DRAINING)
