"""What a person does with a FailedTask: retry or discard it, once, with a reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from router.contract.errors import NotOpen
from router.models import (
    UNLEASED,
    Clock,
    Delivery,
    DeliveryState,
    FailedTask,
    FailedTaskState,
)


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Which failed tasks were settled, and why others were not."""

    settled: tuple[int, ...]
    refused: tuple[tuple[int, str], ...]


def retry(
    failed_task_ids: Iterable[int], *, by: AbstractBaseUser, note: str
) -> Settled:
    """Owe these deliveries again, due now; their failures count from zero."""
    return _settle_all(
        failed_task_ids, FailedTaskState.RETRIED, DeliveryState.PENDING, by, note
    )


def discard(
    failed_task_ids: Iterable[int], *, by: AbstractBaseUser, note: str
) -> Settled:
    """Cancel these deliveries: nobody is owed them any more."""
    return _settle_all(
        failed_task_ids, FailedTaskState.DISCARDED, DeliveryState.CANCELLED, by, note
    )


def _settle_all(
    ids: Iterable[int],
    state: FailedTaskState,
    delivery_state: DeliveryState,
    by: AbstractBaseUser,
    note: str,
) -> Settled:
    settled: list[int] = []
    refused: list[tuple[int, str]] = []
    for pk in ids:
        try:
            _settle(pk, state, delivery_state, by, note)
        except NotOpen as error:
            refused.append((pk, str(error)))
        else:
            settled.append(pk)
    return Settled(settled=tuple(settled), refused=tuple(refused))


@transaction.atomic
def _settle(
    pk: int,
    state: FailedTaskState,
    delivery_state: DeliveryState,
    by: AbstractBaseUser,
    note: str,
) -> None:
    rows = FailedTask.objects.open().filter(pk=pk)
    changed = rows.update(
        state=state,
        settled_at=Clock(),
        settled_by=by,
        settled_by_name=by.get_username(),
        settled_note=note,
    )
    if changed != 1:
        raise NotOpen(_why_not_open(pk))
    delivery = FailedTask.objects.values_list("delivery_id", flat=True).get(pk=pk)
    dead = Delivery.objects.filter(pk=delivery, state=DeliveryState.DEAD)
    moved = dead.update(
        state=delivery_state,
        due_at=Clock(),
        failures=0,
        vanished=0,
        failing_since=None,
        **UNLEASED,
        is_manual=delivery_state == DeliveryState.PENDING,
    )
    if moved != 1:
        raise NotOpen("Its delivery is not dead any more. Nothing was changed.")


def _why_not_open(pk: int) -> str:
    failed = FailedTask.objects.filter(pk=pk).first()
    if failed is None:
        return "There is no such failed task."
    return (
        f"It was already {failed.get_state_display().lower()} by "
        f"{failed.settled_by_name or 'somebody'} at {failed.settled_at:%Y-%m-%d %H:%M} "
        "UTC. Nothing was changed."
    )
