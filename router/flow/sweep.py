"""Step 7, sweep: end the leases that ran out.

Due deliveries whose mark passed need no sweep of their own: dispatch sees them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import transaction
from django.db.models import F

from router.conf import conf
from router.contract.outcomes import Evidence
from router.db.statements import Select
from router.flow import order
from router.flow.cursor.limit import let_go_on
from router.flow.dead_letter import give_up
from router.flow.deliver.set_aside import RAN_OUT, end_lease
from router.models import (
    Attempt,
    AttemptResult,
    Clock,
    Delivery,
    Reason,
    Subscriber,
    Turn,
)

logger = logging.getLogger(__name__)

BATCH = 500


def sweep(*, subscriber_id: int | None = None) -> int:
    """Make expired deliveries due again, or give them up; returns how many there were.

    Those of one subscriber alone where its `subscriber_id` is given.
    """
    of = {} if subscriber_id is None else {"subscriber": subscriber_id}
    if not of and not _LOOK.rows():
        return 0
    with transaction.atomic():
        expired = list(
            Delivery.objects.expired()
            .filter(**of)
            .select_for_update(skip_locked=True, of=("self",))
            .select_related("subscriber", "event")
            .defer("subscriber__custom_headers", "event__data")
            .order_by("pk")[:BATCH]
        )
        if not expired:
            return 0
        _note(expired)
        for delivery in expired:
            delivery.vanished += 1
        lost = [row for row in expired if row.vanished > conf().max_lost_leases]
        _give_back([row for row in expired if row not in lost])
        for delivery in lost:
            _dead_letter(delivery)
    logger.warning("%d deliveries came back: their workers vanished", len(expired))
    return len(expired)


def sweep_turns() -> int:
    """End the leases of the stream that ran out, and let cursors that stood still at
    the limit go on; returns how many leases there were."""
    let_go_on()
    if not _LOOK_AT_TURNS.rows():
        return 0
    with transaction.atomic():
        expired = list(Turn.objects.expired().select_for_update(skip_locked=True))
        for row in expired:
            end_lease(row)
    if expired:
        logger.warning("%d chunks came back: their workers vanished", len(expired))
    return len(expired)


def _note(expired: Sequence[Delivery]) -> None:
    Attempt.objects.bulk_create(
        Attempt.of(row, AttemptResult.VANISHED, RAN_OUT) for row in expired
    )


def _give_back(deliveries: Sequence[Delivery]) -> None:
    rows = Delivery.objects.filter(pk__in_array=[row.pk for row in deliveries])
    rows.reschedule(Clock(), vanished=F("vanished") + 1)
    ordered = [row for row in deliveries if row.ordering_key]
    for subscriber_id in sorted({row.subscriber_id for row in ordered}):
        order.lock_subscriber(subscriber_id)
    if ordered:
        order.hold_again([row.pk for row in ordered])


def _dead_letter(delivery: Delivery) -> None:
    Subscriber.objects.filter(pk=delivery.subscriber_id).update(last_failed_at=Clock())
    evidence = Evidence(
        "WorkerVanished",
        f"{delivery.vanished} workers in a row vanished with this delivery, the last "
        "ones while they held no other.",
    )
    give_up(delivery, reason=Reason.EXHAUSTED, evidence=evidence)


#: Whether any ran out: mostly none did, and the question takes no lock.
_LOOK_AT_TURNS = Select(lambda: Turn.objects.expired().values_list("pk")[:1])
_LOOK = Select(lambda: Delivery.objects.expired().order_by().values_list("pk")[:1])
