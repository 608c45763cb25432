"""The subscribers with something to send: one statement for all subscribers and queues.

Dispatchers ask it many times a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from router.db.pipeline import rows_of_planned
from router.db.statements import Select
from router.flow.breaker.probes import is_probe_due, lets_all_through, may_be_tried
from router.flow.dispatch import limits
from router.models import (
    LIVE,
    REMOTE,
    Cursor,
    Delivery,
    LogHead,
    Subscriber,
    SubscriberState,
    Transport,
    Turn,
)
from router.models.subscriber import is_handler_missing

IS_REMOTE = Q(transport__in=REMOTE)
IS_HANDLER = Q(transport=Transport.HANDLER)
IS_CONCURRENT = Q(is_transactional=False) | Q(is_safe_concurrently=True) | IS_REMOTE


def subscribers_due() -> list[Subscriber]:
    """Active subscribers for which a message can be sent now."""
    (rows,) = rows_of_planned([DUE.bound()])
    return subscribers_of(rows)


def subscribers_of(rows: Sequence[Any]) -> list[Subscriber]:
    """The subscribers of these rows of `DUE`, but those whose handler is missing."""
    return [row for row in DUE.as_models(rows) if not is_handler_missing(row)]


def _statement() -> QuerySet[Subscriber]:
    """Without pull subscribers: a puller comes by itself."""
    deliveries = Delivery.objects.filter(subscriber=OuterRef("pk"))
    due = deliveries.due().unmarked().order_by("due_at", "id")
    # One lease for its cursor and its deliveries.
    free = Turn.objects.free().unmarked().filter(pk=OuterRef("pk"))
    is_idle = Q(next_on_its_way__isnull=True, next_leased__isnull=True)
    # While the breaker is open, the next event above the cursor may be its probe.
    head = LogHead.objects.values("position")
    behind = Cursor.objects.filter(subscriber=OuterRef("pk"), run=LIVE)
    can_probe_above = ~lets_all_through() & Q(
        Exists(behind.filter(position__lt=head)), is_streamed=True
    )
    # Not known yet whether it hangs: it gets one worker, not all of them. Of one
    # that is down there is one probe anyway.
    is_known = Q(mean_run_ms__isnull=False) | IS_REMOTE | ~lets_all_through()
    return (
        limits.with_flight(Subscriber.objects.known(), deliveries)
        # In their order, and one of them: counting on finding some soon, the planner
        # reads all that is open otherwise.
        .alias(next_due=Subquery(due.values("pk")[:1]))
        .filter(state=SubscriberState.ACTIVE)
        .filter(may_be_tried(), lets_all_through() | is_probe_due())
        .filter(Q(next_due__isnull=False) | can_probe_above)
        .filter(Q(is_streamed=False) | Exists(free))
        .filter((IS_CONCURRENT & is_known & Q(ramp__isnull=True)) | is_idle)
        .filter(IS_HANDLER | IS_REMOTE)
        .filter(limits.is_within_limits())
    )


DUE = Select(_statement)
