"""The progress of the events of one subject, for a page."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Exists, OuterRef, QuerySet, TextField
from django.utils.translation import gettext as _

from router import registry
from router.db.statements import IDS, Param, Select
from router.models import (
    LIVE,
    Attempt,
    BreakerState,
    Clock,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    Subscriber,
    SubscriberState,
    Transport,
)
from router.observe.live_cursors import OF_SUBSCRIBER
from router.observe.outcome import Outcome, outcomes_of
from router.observe.pruned import pruned_to

#: Nobody reads a page of more; a subject has one or two.
EVENT_LIMIT = 20
ERROR_CLASS = re.compile(r"([A-Za-z_][\w.]{0,99})(:|$)")
#: What a step needs of a delivery, in the order of the model's fields.
OF_DELIVERY = (
    "id", "event_id", "subscriber_id", "run", "state", "due_at", "attempts",
    "failures", "vanished", "acknowledged_at",
)  # fmt: skip
MILLISECOND = timedelta(milliseconds=1)


class StepState(StrEnum):
    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    RETRYING = "retrying"
    HELD = "held"
    ATTENTION = "attention"
    CANCELLED = "cancelled"


MOVING = frozenset({StepState.WAITING, StepState.WORKING, StepState.RETRYING})
STOPPED = frozenset({StepState.HELD, StepState.ATTENTION})


@dataclass(frozen=True, kw_only=True)
class Step:
    """One event for one subscriber: how it stands, by the database's clock."""

    event_number: int
    #: None while the subscriber's cursor alone tells of the event.
    delivery_id: int | None
    subscriber_id: int
    title: str
    #: What customers read; empty where the step is not shown to them.
    customer_title: str
    event_type: str
    state: StepState
    #: From the event's recording to its acknowledgement.
    duration_ms: int | None
    #: Of a retry, and of an event that the breaker holds.
    next_try_in_seconds: int | None
    #: Why it is held; for staff.
    reason: str
    attempts: int
    failures: int
    #: The class of the last failure, never its message: that may have personal data.
    last_error: str


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Every step of a subject's events that are routed, and whether some are not."""

    steps: tuple[Step, ...]
    event_count: int
    unrouted_count: int
    #: There are no events, and old ones were pruned.
    is_pruned: bool

    def for_customers(self) -> Progress:
        """The steps that concern customers alone."""
        steps = tuple(step for step in self.steps if step.customer_title)
        return replace(self, steps=steps)

    @property
    def done_count(self) -> int:
        return sum(step.state == StepState.DONE for step in self.steps)

    @property
    def is_moving(self) -> bool:
        """Whether the next moment may look different."""
        states = {step.state for step in self.steps}
        return bool(self.unrouted_count) or not states.isdisjoint(MOVING)

    @property
    def is_stopped(self) -> bool:
        """Whether a step needs attention."""
        return not {step.state for step in self.steps}.isdisjoint(STOPPED)


def progress_of(*, source: str, subject: str, with_errors: bool = False) -> Progress:
    """The progress of the events with this source and subject.

    Four statements, and another `with_errors`; for a subject without events two.
    """
    events = _EVENTS.models(source=source, subject=subject)
    found = outcomes_of(events, _deliveries_of(events))
    errors = _last_errors(found.deliveries) if with_errors else {}
    steps = [
        *(
            _step(delivery, errors.get(delivery.pk, ""))
            for delivery in found.deliveries
        ),
        *map(_step_by_cursor, found.by_cursor),
    ]
    return Progress(
        steps=tuple(step for _, step in sorted(steps, key=lambda each: each[0])),
        event_count=len(events),
        unrouted_count=sum(event.position is None for event in events),
        is_pruned=not events and pruned_to() is not None,
    )


def _deliveries_of(events: Sequence[EventRecord]) -> Iterator[Delivery]:
    by_number = {event.number: event for event in events}
    size = len(OF_SUBSCRIBER)
    for *values, now in _DELIVERIES.rows(ids=list(by_number)):
        known, owed = values[:size], values[size:]
        delivery = Delivery.from_db(DEFAULT_DB_ALIAS, OF_DELIVERY, owed)
        delivery.subscriber = Subscriber.from_db(DEFAULT_DB_ALIAS, OF_SUBSCRIBER, known)
        delivery.event = by_number[delivery.event_id]
        delivery.now = now  # type: ignore[attr-defined]  # by its side
        yield delivery


def _last_errors(deliveries: Sequence[Delivery]) -> dict[int, str]:
    failing = [delivery.pk for delivery in deliveries if delivery.attempts]
    rows = Attempt.objects.filter(delivery_id__in=failing).exclude(error="")
    errors = rows.order_by("id").values_list("delivery_id", "error")
    return {delivery_id: error_class(error) for delivery_id, error in errors}


def error_class(error: str) -> str:
    """`ValueError` of `ValueError: its words`; nothing of words without a class."""
    match = ERROR_CLASS.match(error)
    return match[1] if match else ""


def _events() -> QuerySet[EventRecord]:
    subject = {name: Param(name, TextField()) for name in ("source", "subject")}
    # The data of an event may be large, and no page shows it.
    rows = EventRecord.objects.filter(**subject).defer("data")
    return rows.order_by("number")[:EVENT_LIMIT]


def _unreplaced() -> QuerySet[Delivery]:
    """Without those whose place another delivery took: that is shown instead."""
    replaced = FailedTask.objects.filter(
        delivery=OuterRef("pk"), successor__isnull=False
    )
    return Delivery.objects.exclude(Exists(replaced), state=DeliveryState.CANCELLED)


_EVENTS = Select(_events)
_DELIVERIES = Select(
    lambda: (
        _unreplaced()
        .filter(event__number__in_array=IDS)
        .values_list(
            *(f"subscriber__{name}" for name in OF_SUBSCRIBER), *OF_DELIVERY, Clock()
        )
    )
)
#: In which steps follow each other: event, subscriber, run.
Place = tuple[int, int, int]


def _step(delivery: Delivery, last_error: str) -> tuple[Place, Step]:
    state = _state(delivery)
    is_done = state == StepState.DONE
    subscriber = delivery.subscriber
    step = Step(
        event_number=delivery.event_id,
        delivery_id=delivery.pk,
        subscriber_id=subscriber.pk,
        title=str(subscriber),
        customer_title=_customer_title(subscriber),
        event_type=delivery.event.type,
        state=state,
        duration_ms=_duration_ms(delivery) if is_done else None,
        next_try_in_seconds=_next_try_in_seconds(delivery, state),
        reason=_hold_reason(subscriber) if state == StepState.HELD else "",
        attempts=delivery.attempts,
        failures=delivery.failures,
        last_error=last_error,
    )
    return (delivery.event_id, subscriber.pk, delivery.run), step


def _step_by_cursor(outcome: Outcome) -> tuple[Place, Step]:
    subscriber, event = outcome.subscriber, outcome.event
    reason = _hold_reason(subscriber)
    match outcome.state:
        case DeliveryState.ACKNOWLEDGED:
            state = StepState.DONE
        case DeliveryState.LEASED:
            state = StepState.WORKING
        case _:
            state = StepState.HELD if reason else StepState.WAITING
    is_held = state == StepState.HELD
    step = Step(
        event_number=event.number,
        delivery_id=None,
        subscriber_id=subscriber.pk,
        title=str(subscriber),
        customer_title=_customer_title(subscriber),
        event_type=event.type,
        state=state,
        duration_ms=_duration_ms(outcome),
        next_try_in_seconds=_next_probe_in_seconds(outcome) if is_held else None,
        reason=reason if is_held else "",
        attempts=outcome.attempts,
        failures=0,
        last_error="",
    )
    return (event.number, subscriber.pk, LIVE), step


def _customer_title(subscriber: Subscriber) -> str:
    declaration = registry.find(subscriber.name)
    is_handler = subscriber.transport == Transport.HANDLER
    return str(declaration.customer_title) if declaration and is_handler else ""


def _state(delivery: Delivery) -> StepState:
    match DeliveryState(delivery.state):
        case DeliveryState.ACKNOWLEDGED:
            return StepState.DONE
        case DeliveryState.LEASED:
            return StepState.WORKING
        case DeliveryState.DEAD:
            return StepState.ATTENTION
        case DeliveryState.CANCELLED:
            return StepState.CANCELLED
        case DeliveryState.PENDING:
            return _pending_state(delivery)


def _pending_state(delivery: Delivery) -> StepState:
    if _hold_reason(delivery.subscriber):
        return StepState.HELD
    if delivery.is_held:
        return StepState.WAITING
    # What was not tried has not failed, however its neighbours fare.
    is_tried = delivery.attempts or delivery.failures or delivery.vanished
    return StepState.RETRYING if is_tried else StepState.WAITING


def _hold_reason(subscriber: Subscriber) -> str:
    """Why nothing is tried; empty when deliveries go out."""
    if subscriber.state != SubscriberState.ACTIVE:
        return subscriber.state_reason or subscriber.get_state_display()
    is_handler = subscriber.transport == Transport.HANDLER
    if is_handler and registry.find(subscriber.name) is None:
        return _("The code of this subscriber is not installed here.")
    if subscriber.breaker == BreakerState.OPEN:
        return _("Its receiver is unreachable.")
    return ""


def _next_try_in_seconds(delivery: Delivery, state: StepState) -> int | None:
    """A receiver that is down, or asked for time, gets nothing before then."""
    subscriber = delivery.subscriber
    is_probed = state == StepState.HELD and subscriber.probe_at is not None
    if state != StepState.RETRYING and not is_probed:
        return None
    now: datetime = delivery.now  # type: ignore[attr-defined]  # annotated
    return _seconds_to_last(
        now, delivery.due_at, subscriber.probe_at, subscriber.not_before
    )


def _next_probe_in_seconds(outcome: Outcome) -> int | None:
    subscriber = outcome.subscriber
    if subscriber.probe_at is None:
        return None
    return _seconds_to_last(outcome.now, subscriber.probe_at, subscriber.not_before)


def _seconds_to_last(now: datetime, *moments: datetime | None) -> int:
    last = max(moment for moment in moments if moment is not None)
    return max(0, math.ceil((last - now).total_seconds()))


def _duration_ms(acknowledged: Delivery | Outcome) -> int | None:
    if acknowledged.acknowledged_at is None:
        return None
    elapsed = acknowledged.acknowledged_at - acknowledged.event.recorded_at
    return max(0, round(elapsed / MILLISECOND))
