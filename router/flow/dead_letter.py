"""Gives a delivery up: with a failed task that keeps the evidence, and a notice."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce

from router.contract.errors import RouterError
from router.contract.outcomes import Evidence
from router.flow import order
from router.flow.publish import causation
from router.flow.publish.own_events import is_notice
from router.flow.publish.publishing import publish_notice
from router.models import (
    Attempt,
    Clock,
    Delivery,
    DeliveryQuerySet,
    FailedTask,
    OnDead,
    Reason,
    Subscriber,
)

logger = logging.getLogger(__name__)

OPENED = "router.failed_task.opened"


def give_up(
    delivery: Delivery, *, reason: Reason, evidence: Evidence, **columns: Any
) -> FailedTask:
    """Mark the delivery dead and open its FailedTask, in the caller's transaction.

    The caller holds the delivery's row and has updated the subscriber's, which makes
    concurrent deaths of one subscriber see each other. `columns` are further ones of
    the delivery to write.
    """
    is_first = (
        not FailedTask.objects.open().filter(subscriber=delivery.subscriber_id).exists()
    )
    Delivery.objects.filter(pk=delivery.pk).dead_letter(
        failures=delivery.failures,
        vanished=delivery.vanished,
        failing_since=delivery.failing_since,
        last_failed_at=delivery.last_failed_at,
        is_witnessed=delivery.is_witnessed,
        is_manual=False,
        **columns,
    )
    if delivery.ordering_key:
        hold_or_pass(delivery, reason)
    failed = FailedTask.objects.create(
        delivery=delivery,
        event_id=delivery.event_id,
        subscriber_id=delivery.subscriber_id,
        reason=reason,
        error=evidence.error,
        traceback=evidence.traceback,
        attempts=delivery.attempts,
        opened_at=Clock(),
        previous_id=_last_task(delivery),
    )
    _notice(failed, delivery, evidence.kind, is_first=is_first)
    return failed


def _last_task(delivery: Delivery) -> int | None:
    tasks = FailedTask.objects.filter(delivery=delivery).order_by("-pk")
    return tasks.values_list("pk", flat=True).first()


def hold_or_pass(delivery: Delivery, reason: Reason) -> None:
    """A dead delivery holds its key, or leaves the order; one that an operator skipped
    always leaves it."""
    row = Delivery.objects.filter(pk=delivery.pk)
    # Read once it is locked: an operator may have changed it since the claim.
    subscriber = Subscriber.objects.only("on_dead").get(pk=delivery.subscriber_id)
    if subscriber.on_dead == OnDead.HOLD and reason != Reason.SKIPPED:
        # It may die while it is held: what has no time holds nothing.
        row.update(due_at=Coalesce("due_at", "created_at"))
    else:
        row.update(ordering_key="")
        key = delivery.run, delivery.ordering_key
        order.release_key(delivery.subscriber_id, *key)


def give_up_unanswered(deliveries: DeliveryQuerySet) -> None:
    """Give up deliveries that no worker holds, each with the evidence of its last
    attempt.

    In the caller's transaction, which holds their subscriber.
    """
    rows = (
        deliveries.select_related("event", "subscriber")
        .defer("subscriber__custom_headers")
        .select_for_update(skip_locked=True, of=("self",))
        .order_by("pk")
    )
    for delivery in rows:
        give_up(delivery, reason=Reason.EXHAUSTED, evidence=last_evidence(delivery))


def last_evidence(delivery: Delivery) -> Evidence:
    """What was kept of the delivery's last attempt; nothing, if there was none."""
    attempts = Attempt.objects.filter(delivery=delivery).order_by("-pk")
    last = attempts.values_list("error", "traceback").first()
    return Evidence.stored(*last) if last else Evidence()


def _notice(
    failed: FailedTask, delivery: Delivery, kind: str, *, is_first: bool
) -> None:
    """Publish the notice; an error here must not undo that the delivery is dead."""
    log = logger.error if is_first else logger.info
    log(
        "Gave up on delivery %s of event #%s to %s: %s after %s",
        delivery.pk,
        delivery.event_id,
        delivery.subscriber.name,
        failed.reason,
        # Never the message, which may quote a customer.
        kind or "no answer",
        extra={
            "subscriber": delivery.subscriber.name,
            "event": delivery.event_id,
            "delivery": delivery.pk,
        },
    )
    # A notice that fails, or what a notice caused, must not make another notice, and so
    # on for ever. Notices of an earlier release have no depth of their own.
    event = delivery.event
    if is_notice(event.type) or causation.is_of_notice(event.causation_depth):
        return
    try:
        with transaction.atomic():
            _publish(failed, delivery, kind, is_first=is_first)
    except RouterError:
        logger.exception("The notice of failed task %s was not published", failed.pk)


def _publish(
    failed: FailedTask, delivery: Delivery, kind: str, *, is_first: bool
) -> None:
    subscriber = delivery.subscriber
    publish_notice(
        OPENED,
        {
            "failed_task": {
                "id": failed.pk,
                "reason": failed.reason,
                # Without its message, which may quote a customer.
                "error": kind,
            },
            "subscriber": {"name": subscriber.name, "title": subscriber.title},
            "event": {"number": delivery.event_id, "type": delivery.event.type},
            "is_first_of_incident": is_first,
        },
        id=f"failed-task-{failed.pk}",
        subject=subscriber.name,
        traceparent=delivery.event.traceparent,
    )
