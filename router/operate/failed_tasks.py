"""An operator retries or discards a failed task, once, with a reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router.conf import conf
from router.contract.errors import NotOpen
from router.flow import audit, order
from router.flow.cursor.limit import is_full
from router.flow.reviving import take_back, undo_discard, undo_substitute
from router.flow.route.head import lock_head
from router.models import (
    NEVER_FAILED,
    Clock,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    FailedTaskState,
    Ordering,
    Subscriber,
)
from router.observe.wording import grouped

BEYOND = _(
    "The event lies beyond what its subscriber may receive. An operator changes that "
    "at the subscriber."
)


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Which failed tasks were settled, and why others were not."""

    settled: tuple[int, ...]
    refused: tuple[tuple[int, str], ...]


@dataclass(frozen=True, kw_only=True)
class _Verdict:
    """What becomes of a failed task and its delivery, and who says so."""

    state: FailedTaskState
    delivery_state: DeliveryState
    by: str
    user: AbstractBaseUser | None
    note: str

    @property
    def name(self) -> str:
        return self.user.get_username() if self.user else self.by


def retry(
    failed_task_ids: Iterable[int],
    *,
    by: str,
    user: AbstractBaseUser | None = None,
    note: str = "",
) -> Settled:
    """Owe these deliveries again, due now; their failures count from zero.

    `by` is `user NAME`, `key NAME` or `command`; `user` the account, if it was one.
    """
    verdict = _Verdict(
        state=FailedTaskState.RETRIED,
        delivery_state=DeliveryState.PENDING,
        by=by,
        user=user,
        note=note,
    )
    return _settle_all(failed_task_ids, verdict)


def discard(
    failed_task_ids: Iterable[int],
    *,
    by: str,
    user: AbstractBaseUser | None = None,
    note: str = "",
) -> Settled:
    """Cancel these deliveries for good. `by` as in `retry`."""
    verdict = _Verdict(
        state=FailedTaskState.DISCARDED,
        delivery_state=DeliveryState.CANCELLED,
        by=by,
        user=user,
        note=note,
    )
    return _settle_all(failed_task_ids, verdict)


@transaction.atomic
def restore(pk: int, *, by: str, note: str = "") -> None:
    """Open a failed task again: one that was discarded, or one that was retried,
    edited or redirected and that no worker has begun since. Raises `NotOpen`."""
    _lock_order(pk)
    tasks = FailedTask.objects.filter(pk=pk)
    events = EventRecord.objects.select_for_update(no_key=True)
    list(events.filter(failed_tasks=pk).values_list("pk"))
    is_kept = tasks.filter(subscriber__deleted_at__isnull=True).exists()
    undo = (take_back, undo_discard, undo_substitute)
    if not is_kept or sum(each(tasks) for each in undo) != 1:
        raise NotOpen(_why_not_restored(pk))
    audit.note("failed_task.restored", tasks.get(), by=by, reason=note)


def may_restore(task: FailedTask) -> bool:
    """Whether the failed task looks as if `restore` took it; another may be faster."""
    if task.successor is not None:
        is_begun = task.successor.attempts or task.successor.leased_until
        return task.successor.state == DeliveryState.PENDING and not is_begun
    match FailedTaskState(task.state), task.delivery.state:
        case FailedTaskState.RETRIED, DeliveryState.PENDING:
            return task.delivery.attempts == task.attempts
        case FailedTaskState.DISCARDED, DeliveryState.CANCELLED:
            return task.subscriber.deleted_at is None
    return False


def _settle_all(ids: Iterable[int], verdict: _Verdict) -> Settled:
    settled: list[int] = []
    refused: list[tuple[int, str]] = []
    for pk in ids:
        try:
            _settle(pk, verdict)
        except NotOpen as error:
            refused.append((pk, str(error)))
        else:
            settled.append(pk)
    return Settled(settled=tuple(settled), refused=tuple(refused))


@transaction.atomic
def _settle(pk: int, verdict: _Verdict) -> None:
    _lock_order(pk)
    changed = (
        FailedTask.objects.open()
        .filter(pk=pk)
        .update(
            state=verdict.state,
            settled_at=Clock(),
            settled_by=verdict.user,
            settled_by_name=verdict.name[:200],
            settled_note=verdict.note,
        )
    )
    if changed != 1:
        raise NotOpen(why_not_open(pk))
    if verdict.state == FailedTaskState.RETRIED:
        _refuse_beyond_limits(pk)
    failed = FailedTask.objects.get(pk=pk)
    _move(failed.delivery_id, verdict.delivery_state)
    audit.note(
        f"failed_task.{verdict.state}",
        failed,
        by=verdict.by,
        reason=verdict.note,
    )


def _lock_order(pk: int) -> None:
    if FailedTask.objects.filter(pk=pk, subscriber__ordering=Ordering.KEY).exists():
        # Routing decides meanwhile nothing about the keys. First, as resending does.
        lock_head()


def _refuse_beyond_limits(pk: int) -> None:
    """Its limits may have become narrower since the event was routed to it, or
    its open deliveries too many."""
    rows = FailedTask.objects.select_related("subscriber", "event")
    failed = rows.defer("event__data", "subscriber__custom_headers").get(pk=pk)
    if not failed.subscriber.may_receive(failed.event):
        raise NotOpen(str(BEYOND))
    if is_full(failed.subscriber_id):
        raise NotOpen(too_many(failed.subscriber))


def too_many(subscriber: Subscriber) -> str:
    return gettext(
        "%(subscriber)s has %(count)s open deliveries, which is the "
        "limit: let some of them be delivered first."
    ) % {"subscriber": subscriber.name, "count": grouped(conf().max_open)}


def _move(delivery_id: int, state: DeliveryState) -> None:
    dead = Delivery.objects.filter(pk=delivery_id, state=DeliveryState.DEAD)
    if state == DeliveryState.PENDING:
        moved = dead.revive()
    else:
        moved = dead.cancel(**NEVER_FAILED)
    if moved != 1:
        raise NotOpen(
            gettext("Its delivery is not dead any more. Nothing was changed.")
        )
    order.rejoin([delivery_id])


def why_not_open(pk: int) -> str:
    """The message to an operator who comes too late."""
    failed = FailedTask.objects.filter(pk=pk).first()
    if failed is None:
        return gettext("There is no such failed task.")
    return gettext(
        "It was already %(state)s by %(person)s at %(time)s UTC. Nothing was changed."
    ) % {
        "state": failed.get_state_display().lower(),
        "person": failed.settled_by_name or gettext("somebody"),
        "time": f"{failed.settled_at:%Y-%m-%d %H:%M}",
    }


def _why_not_restored(pk: int) -> str:
    rows = FailedTask.objects.filter(pk=pk).select_related("subscriber")
    failed = rows.defer("subscriber__custom_headers").first()
    if failed is None:
        return gettext("There is no such failed task.")
    if failed.state == FailedTaskState.OPEN:
        return gettext("It is open: there is nothing to undo.")
    if failed.subscriber.deleted_at is not None:
        return gettext(
            "Its subscriber was deleted: nothing is delivered to it any more."
        )
    return gettext("A worker has begun its delivery since: it can't be taken back.")
