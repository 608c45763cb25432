"""Steps of the ramped retries, taken by the dispatcher.

A step begins when every failed task of the step before is acknowledged, so a cause that
is not fixed costs one attempt, or as many as the step has.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q

from router.conf import conf
from router.db.patterns import within
from router.db.statements import Select
from router.flow import audit
from router.flow.cursor.limit import open_count
from router.flow.reviving import revive, take_back
from router.flow.route.head import lock_head
from router.models import (
    Clock,
    DeliveryState,
    FailedTask,
    FailedTaskQuerySet,
    Ordering,
    RampedRetry,
    RampState,
)

GROWTH = 10
MAX_STEP = 1000
#: Of its failed tasks, by their deliveries: what failed again, and what is on its way.
FAILED = Q(delivery__last_failed_at__isnull=False) | Q(
    delivery__state=DeliveryState.DEAD
)
MOVING = Q(delivery__state__in=(DeliveryState.PENDING, DeliveryState.LEASED))


def advance_ramped_retries() -> None:
    """Take the next step of each ramped retry whose last one is done, or stop it."""
    for pk, ordering in _LOOK.rows():
        _advance(pk, is_ordered=ordering == Ordering.KEY)


def remaining(retry: RampedRetry) -> FailedTaskQuerySet:
    """The failed tasks that it has not retried yet."""
    tasks = FailedTask.objects.open().filter(
        subscriber=retry.subscriber_id, pk__lte=retry.up_to
    )
    if retry.group_id is not None:
        tasks = tasks.filter(group=retry.group_id)
    if retry.since is not None:
        tasks = tasks.filter(opened_at__gte=retry.since)
    # The subscriber's limits may have become narrower since the events were routed.
    return tasks.filter(
        within("event__type", retry.subscriber.allowed_types),
        within("event__source", retry.subscriber.allowed_sources),
    )


def end(retry: RampedRetry, state: RampState, *, by: str, reason: str = "") -> None:
    """Retry no more of it, and take back what no worker has begun."""
    tasks = FailedTask.objects.filter(ramped_retry=retry)
    count = take_back(tasks)
    RampedRetry.objects.filter(pk=retry.pk).update(state=state, finished_at=Clock())
    audit.note(
        f"ramped_retry.{state}",
        retry,
        by=by,
        reason=reason,
        detail=f"{tasks.count()} retried, {count} taken back",
    )


@transaction.atomic
def _advance(pk: int, *, is_ordered: bool) -> None:
    if is_ordered:
        lock_head()
    retry = locked(pk)
    if retry is None:
        return
    tasks = FailedTask.objects.filter(ramped_retry=retry)
    if tasks.filter(FAILED).exists():
        end(retry, RampState.STOPPED, by=audit.ROUTER)
    elif not tasks.filter(MOVING).exists():
        _begin_step(retry)


def locked(pk: int) -> RampedRetry | None:
    """The ramped retry, locked; None where it is not active."""
    rows = RampedRetry.objects.active().filter(pk=pk)
    return (
        rows.select_for_update(of=("self",))
        .select_related("subscriber")
        .defer("subscriber__custom_headers")
        .first()
    )


def _begin_step(retry: RampedRetry) -> None:
    size = min(max(1, retry.step * GROWTH), MAX_STEP)
    room = conf().max_open - open_count(retry.subscriber_id)
    if room <= 0:
        return
    tasks = remaining(retry).order_by("pk").values_list("pk", flat=True)
    ids = list(tasks[: min(size, room)])
    if not ids:
        end(retry, RampState.COMPLETE, by=audit.ROUTER)
        return
    revive(
        ids,
        ramped_retry=retry,
        settled_by_name=retry.requested_by.partition(" ")[2] or retry.requested_by,
        settled_note=retry.reason,
    )
    RampedRetry.objects.filter(pk=retry.pk).update(step=size)


_LOOK = Select(
    lambda: (
        RampedRetry.objects.active()
        .order_by("pk")
        .values_list("pk", "subscriber__ordering")
    )
)
