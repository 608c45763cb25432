"""An operator lets another delivery take the place of one that is dead: of a corrected
event, or to another subscriber.

The event in the log stays as it is. A corrected event is one of its own, owed to the
same subscriber alone, with the extension `derivedfrom`: the id of the original.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.utils.translation import gettext

from router.contract.data import is_json
from router.contract.errors import InvalidEvent, NotOpen
from router.contract.event import Event
from router.flow import audit, order
from router.flow.cursor.limit import is_full
from router.flow.cursor.runs import next_number
from router.flow.publish.recording import record
from router.flow.publish.schemas import check_data
from router.flow.route.head import lock_head
from router.models import (
    LIVE,
    NEVER_FAILED,
    Clock,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    FailedTaskState,
    Origin,
    Subscriber,
)
from router.observe.outcome import outcomes_of
from router.operate.failed_tasks import BEYOND, too_many, why_not_open

#: So long after the act a substitute goes out: until then it can be undone.
UNDO_SECONDS = 10
DERIVED_FROM = "derivedfrom"


@dataclass(frozen=True, kw_only=True)
class Act:
    """Who lets a substitute take a place, and why; `by` as in `failed_tasks.retry`."""

    by: str
    note: str = ""
    user: AbstractBaseUser | None = None

    def columns(self) -> dict[str, Any]:
        name = self.user.get_username() if self.user else self.by
        return {
            "settled_at": Clock(),
            "settled_by": self.user,
            "settled_by_name": name[:200],
            "settled_note": self.note,
        }


def corrected(record_: EventRecord, data: Any) -> Event:
    """The event with other data. Raises `InvalidEvent`, or `SchemaViolation` with a
    pointer to each fault."""
    event = record_.to_event()
    if not is_json(event.datacontenttype) or not event.has_data:
        raise InvalidEvent("Only an event whose data is JSON can be edited.")
    if data == event.data:
        raise InvalidEvent("Nothing is changed: use Retry to send it as it is.")
    derived = {**event.extensions, DERIVED_FROM: event.id}
    changes = {"id": str(uuid.uuid4()), "data": data, "extensions": derived}
    edited = Event.recorded({**event.__dict__, **changes})
    if edited.dataschema:
        # An event from before the type had schemas names none.
        check_data(edited)
    return edited


@transaction.atomic
def edit_and_retry(task_id: int, data: Any, act: Act) -> Delivery:
    """Owe the subscriber a corrected event in place of the one that failed, due in
    `UNDO_SECONDS`; returns its delivery.

    Raises `NotOpen`, and what `corrected` raises.
    """
    failed = _locked(task_id)
    _refuse(failed.subscriber, failed.event)
    event = corrected(failed.event, data)
    depth = failed.event.causation_depth
    published = record(event, depth=depth, only_for=failed.subscriber_id)
    owed = _owe(
        published.number,
        failed.subscriber,
        run=LIVE,
        ordering_key=failed.delivery.ordering_key,
    )
    _replace(failed, owed, FailedTaskState.RETRIED, act)
    if not owed.ordering_key:
        # The dead one held no key: the corrected event takes the last place of it.
        order.rejoin([owed.pk])
    _note("failed_task.edited", failed, owed, act)
    return owed


@transaction.atomic
def redirect(task_id: int, to: Subscriber, act: Act) -> Delivery:
    """Owe the event to another subscriber in place of the one that failed, due in
    `UNDO_SECONDS`; returns that delivery. Raises `NotOpen`."""
    failed = _locked(task_id)
    _refuse(to, failed.event)
    _refuse_served(to, failed)
    owed = _owe(failed.event_id, to, run=next_number(to.pk), origin=Origin.REPLAY)
    _replace(failed, owed, FailedTaskState.REDIRECTED, act)
    order.rejoin([failed.delivery_id])
    _note("failed_task.redirected", failed, owed, act)
    return owed


def _locked(task_id: int) -> FailedTask:
    """The open failed task, held with its event. Raises `NotOpen`."""
    # What makes deliveries holds it; it also stops the second of two operators.
    lock_head()
    # Pruning passes over an event whose row is held.
    held = EventRecord.objects.select_for_update(no_key=True)
    list(held.filter(failed_tasks=task_id).values_list("pk"))
    rows = FailedTask.objects.open().select_related("delivery", "event", "subscriber")
    failed = rows.select_for_update(of=("self",)).filter(pk=task_id).first()
    if failed is None:
        raise NotOpen(why_not_open(task_id))
    return failed


def _refuse(subscriber: Subscriber, event: EventRecord) -> None:
    if subscriber.deleted_at is not None:
        raise NotOpen(
            gettext("The subscriber was deleted: nothing is delivered to it.")
        )
    if not subscriber.may_receive(event):
        raise NotOpen(str(BEYOND))
    if is_full(subscriber.pk):
        raise NotOpen(too_many(subscriber))


def _refuse_served(to: Subscriber, failed: FailedTask) -> None:
    if to.pk == failed.subscriber_id:
        raise NotOpen(gettext("It is the same subscriber: use Retry."))
    runs = Delivery.objects.filter(event=failed.event_id, subscriber=to)
    found = outcomes_of([failed.event], runs)
    if found.deliveries or any(each.subscriber == to for each in found.by_cursor):
        raise NotOpen(
            gettext(
                "%(subscriber)s is owed this event itself, or had it: send it "
                "again there."
            )
            % {"subscriber": to.name}
        )


def _owe(number: int, subscriber: Subscriber, **columns: Any) -> Delivery:
    owed = Delivery.objects.create(
        event_id=number,
        subscriber=subscriber,
        is_manual=True,
        due_at=Clock() + timedelta(seconds=UNDO_SECONDS),
        created_at=Clock(),
        **columns,
    )
    owed.refresh_from_db()
    return owed


def _replace(
    failed: FailedTask, owed: Delivery, state: FailedTaskState, act: Act
) -> None:
    dead = Delivery.objects.filter(pk=failed.delivery_id, state=DeliveryState.DEAD)
    if dead.cancel(**NEVER_FAILED) != 1:
        raise NotOpen(
            gettext("Its delivery is not dead any more. Nothing was changed.")
        )
    FailedTask.objects.filter(pk=failed.pk).update(
        state=state, successor=owed, **act.columns()
    )


def _note(action: str, failed: FailedTask, owed: Delivery, act: Act) -> None:
    to = "" if owed.subscriber_id == failed.subscriber_id else f" to {owed.subscriber}"
    audit.note(
        action,
        failed,
        by=act.by,
        reason=act.note,
        detail=f"event #{owed.event_id}{to} as delivery {owed.pk}",
    )
