"""An operator retries many failed tasks at a ramp, cancels it, or discards a cause."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router.contract.errors import DoesNotApply
from router.flow import audit, order
from router.flow.ramped_retries import end, locked, remaining
from router.flow.route.head import lock_head
from router.models import (
    NEVER_FAILED,
    Clock,
    Delivery,
    DeliveryState,
    FailedTask,
    FailedTaskGroup,
    FailedTaskQuerySet,
    FailedTaskState,
    RampedRetry,
    RampState,
    Subscriber,
)

NOTHING_OPEN = _("No failed task of it is open any more. Nothing was changed.")


@transaction.atomic
def begin_ramped_retry(
    subscriber_id: int,
    *,
    group: FailedTaskGroup | None = None,
    since: datetime | None = None,
    by: str,
    reason: str = "",
) -> RampedRetry:
    """Retry the subscriber's failed tasks that are open now: of one cause, or opened
    since a time. Raises `DoesNotApply`, also while another one of these runs."""
    # Of two operators the second one waits here, and sees what the first one began.
    subscriber = Subscriber.objects.select_for_update(no_key=True).get(pk=subscriber_id)
    running = RampedRetry.objects.active().filter(subscriber=subscriber, group=group)
    if (other := running.first()) is not None:
        raise DoesNotApply(
            gettext(
                "%(person)s began to retry these at %(time)s UTC, and that "
                "goes on. Nothing was changed."
            )
            % {"person": other.requested_by, "time": f"{other.created_at:%H:%M:%S}"}
        )
    retry = _planned(subscriber, group, since)
    retry.requested_by, retry.reason = by[:200], reason[:1000]
    count = remaining(retry).count()
    if not count:
        raise DoesNotApply(str(NOTHING_OPEN))
    retry.save()
    retry.refresh_from_db()
    audit.note(
        "ramped_retry.begun",
        retry,
        by=by,
        reason=reason,
        detail=f"{count} failed tasks",
    )
    return retry


def retryable(
    subscriber: Subscriber, *, group: FailedTaskGroup | None, since: datetime | None
) -> FailedTaskQuerySet:
    """The failed tasks that `begin_ramped_retry` would retry now."""
    return remaining(_planned(subscriber, group, since))


def _planned(
    subscriber: Subscriber, group: FailedTaskGroup | None, since: datetime | None
) -> RampedRetry:
    last = FailedTask.objects.aggregate(last=Max("pk"))["last"] or 0
    return RampedRetry(subscriber=subscriber, group=group, since=since, up_to=last)


@transaction.atomic
def cancel_ramped_retry(retry_id: int, *, by: str, reason: str = "") -> None:
    """Retry no more of it; what no worker has begun is open again. Raises
    `DoesNotApply`."""
    retry = locked(retry_id)
    if retry is None:
        raise DoesNotApply(gettext("It is over already. Nothing was changed."))
    end(retry, RampState.CANCELLED, by=by, reason=reason)


@transaction.atomic
def discard_group(
    group: FailedTaskGroup, *, by: str, note: str = "", up_to: int | None = None
) -> int:
    """Cancel the deliveries of a cause's open failed tasks for good; returns how many.

    Those above `up_to`, the last one that the operator saw, stay open. Raises
    `DoesNotApply` where none is left.
    """
    if group.subscriber.is_ordered:
        lock_head()
    rows = FailedTask.objects.open().filter(group=group).order_by("pk")
    if up_to is not None:
        rows = rows.filter(pk__lte=up_to)
    tasks = dict(rows.select_for_update(of=("self",)).values_list("pk", "delivery_id"))
    if not tasks:
        raise DoesNotApply(str(NOTHING_OPEN))
    FailedTask.objects.filter(pk__in_array=list(tasks)).update(
        state=FailedTaskState.DISCARDED,
        settled_at=Clock(),
        settled_by_name=by.partition(" ")[2][:200],
        settled_note=note,
    )
    deliveries = list(tasks.values())
    dead = Delivery.objects.filter(pk__in_array=deliveries, state=DeliveryState.DEAD)
    dead.cancel(**NEVER_FAILED)
    order.rejoin(deliveries)
    audit.note(
        "failed_task_group.discarded",
        group,
        by=by,
        reason=note,
        detail=f"{len(tasks)} failed tasks",
    )
    return len(tasks)
