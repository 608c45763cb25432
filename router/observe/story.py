"""The story of an order: what became of its events for each subscriber, by time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router.models import (
    Attempt,
    AttemptResult,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    FailedTaskState,
    Origin,
    Subscriber,
)
from router.observe.explain.case import Verdict, moment
from router.observe.explain.explaining import explain, explain_delivery
from router.observe.last_failure import error_line, printable_line, words_of
from router.observe.outcome import Outcome, outcomes_of
from router.observe.wording import events_counted

#: An order has a few events; of a subject with more, the oldest are shown.
MAX_EVENTS = 50
MAX_DELIVERIES = 200
#: The newest attempts of all deliveries together.
MAX_ATTEMPTS = 100
#: Each explanation of what is not acknowledged costs a few statements.
MAX_EXPLAINED = 10

SENT_AGAIN = {
    Origin.REPLAY: _("Sent once more, beside the live events"),
    Origin.BACKFILL: _("Given by a backfill"),
    Origin.IMPORT: _("Given by an import"),
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that happened to an event on its way to a subscriber."""

    at: datetime
    #: Of an attempt, a delivery or a failed task.
    state: str
    words: str
    run_ms: float | None = None
    attempt: Attempt | None = None
    failed_task_id: int | None = None
    #: The delivery that takes the place of this one.
    successor_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """An event and a subscriber: where it stands, and what happened until then."""

    subscriber: Subscriber
    #: None where the subscriber's cursor alone tells of the event.
    delivery: Delivery | None
    state: str
    #: Empty of those that are beyond `MAX_EXPLAINED`.
    sentence: str
    entries: Sequence[Entry]


@dataclass(frozen=True, kw_only=True)
class EventStory:
    """One event: how it was published, and a part for each delivery of it."""

    event: EventRecord
    parts: Sequence[Part]

    @property
    def trace_id(self) -> str:
        """The trace id of its `traceparent`; empty where it has none."""
        fields = self.event.traceparent.split("-")
        return fields[1] if len(fields) > 1 else ""


@dataclass(frozen=True, kw_only=True)
class Story:
    """The events of one subject, the oldest first."""

    events: Sequence[EventStory]
    has_more_events: bool
    has_more_deliveries: bool
    has_more_attempts: bool


def story_of(event: EventRecord) -> Story:
    """The story of an event and the others of its source and subject.

    Seven statements at most whatever the number of events, subscribers and attempts,
    and a few for each of the first `MAX_EXPLAINED` parts that are not acknowledged.
    """
    events = _events_beside(event)
    shown = events[:MAX_EVENTS]
    if event not in shown:
        shown[-1] = event
    rows = _deliveries_of(shown)[:MAX_DELIVERIES]
    found = outcomes_of(shown, rows, limit=MAX_DELIVERIES)
    attempts = _attempts_of(found.deliveries)
    by_number = {each.number: each for each in shown}
    telling = _Telling(
        by_number, _by_delivery(attempts[:MAX_ATTEMPTS]), _replaced(found.deliveries)
    )
    parts: dict[int, list[Part]] = defaultdict(list)
    for delivery in found.deliveries:
        parts[delivery.event_id].append(telling.of_delivery(delivery))
    for outcome in found.by_cursor:
        parts[outcome.event.number].append(telling.of_outcome(outcome))
    return Story(
        events=[EventStory(event=each, parts=parts[each.number]) for each in shown],
        has_more_events=len(events) > MAX_EVENTS,
        has_more_deliveries=len(found.deliveries) == MAX_DELIVERIES,
        has_more_attempts=len(attempts) > MAX_ATTEMPTS,
    )


def _events_beside(event: EventRecord) -> list[EventRecord]:
    rows = EventRecord.objects.filter(source=event.source, subject=event.subject)
    if not event.subject:
        rows = EventRecord.objects.filter(pk=event.pk)
    # With their data: a filter may look at it, and would read it event by event.
    return list(rows.order_by("number")[: MAX_EVENTS + 1])


def _deliveries_of(events: Collection[EventRecord]) -> QuerySet[Delivery]:
    tasks = FailedTask.objects.order_by("pk").defer("traceback")
    tasks = tasks.select_related("successor__subscriber")
    rows = Delivery.objects.filter(event__in=[each.pk for each in events])
    rows = rows.select_related("subscriber").defer("subscriber__custom_headers")
    return rows.order_by("pk").prefetch_related(Prefetch("failed_tasks", tasks))


def _attempts_of(deliveries: Collection[Delivery]) -> Sequence[Attempt]:
    """The newest first, one more than are shown."""
    rows = Attempt.objects.filter(delivery__in=[each.pk for each in deliveries])
    return list(rows.order_by("-pk")[: MAX_ATTEMPTS + 1])


def _by_delivery(attempts: Sequence[Attempt]) -> Mapping[int, list[Attempt]]:
    found: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in reversed(attempts):
        found[attempt.delivery_id].append(attempt)
    return found


def _replaced(deliveries: Collection[Delivery]) -> Mapping[int, int]:
    """Delivery → the one whose place it took."""
    return {
        task.successor_id: delivery.pk
        for delivery in deliveries
        for task in delivery.failed_tasks.all()
        if task.successor_id is not None
    }


class _Telling:
    """Makes the parts, and counts the explanations that it asks for."""

    def __init__(
        self,
        events: Mapping[int, EventRecord],
        attempts: Mapping[int, list[Attempt]],
        replaced: Mapping[int, int],
    ) -> None:
        self._replaced = replaced
        self._events = events
        self._attempts = attempts
        self._explained = 0

    def of_delivery(self, delivery: Delivery) -> Part:
        delivery.event = self._events[delivery.event_id]
        attempts = self._attempts.get(delivery.pk, [])
        entries = [
            *_begun(delivery, self._replaced.get(delivery.pk)),
            *map(_of_attempt, attempts),
            *_acknowledged(delivery, attempts),
            *_of_failed_tasks(delivery),
        ]
        return Part(
            subscriber=delivery.subscriber,
            delivery=delivery,
            state=delivery.state,
            sentence=self._sentence(delivery),
            entries=sorted(entries, key=lambda each: each.at),
        )

    def of_outcome(self, outcome: Outcome) -> Part:
        return Part(
            subscriber=outcome.subscriber,
            delivery=None,
            state=outcome.state,
            sentence=self._sentence(outcome),
            entries=list(_of_chunk(outcome)),
        )

    def _sentence(self, row: Delivery | Outcome) -> str:
        if row.state == DeliveryState.ACKNOWLEDGED:
            text = gettext("%(subscriber)s acknowledged it at %(moment)s.")
            acknowledged = moment(row.acknowledged_at)
            return text % {"subscriber": row.subscriber, "moment": acknowledged}
        self._explained += 1
        if self._explained > MAX_EXPLAINED:
            return ""
        if isinstance(row, Delivery):
            return explain_delivery(row).sentence
        return explain(row.event, row.subscriber).sentence


def _begun(delivery: Delivery, replaced: int | None) -> Iterator[Entry]:
    words: str | Promise | None = SENT_AGAIN.get(Origin(delivery.origin))
    if replaced is not None:
        words = gettext("In place of delivery %(delivery)s") % {"delivery": replaced}
    if words:
        yield Entry(at=delivery.created_at, state="routed", words=str(words))


def _of_attempt(attempt: Attempt) -> Entry:
    return Entry(
        at=attempt.ended_at,
        state=attempt.result,
        words=words_of(attempt),
        run_ms=attempt.duration_ms,
        attempt=attempt,
    )


def _acknowledged(delivery: Delivery, attempts: Sequence[Attempt]) -> Iterator[Entry]:
    """An acknowledgement that left no attempt, or one that is not shown."""
    results = {each.result for each in attempts}
    if delivery.acknowledged_at and AttemptResult.ACKNOWLEDGED not in results:
        state = DeliveryState.ACKNOWLEDGED
        yield Entry(at=delivery.acknowledged_at, state=state, words="")


def _of_chunk(outcome: Outcome) -> Iterator[Entry]:
    if outcome.acknowledged_at is None:
        return
    text = (
        gettext("In a chunk of %(events)s, on worker %(worker)s")
        if outcome.worker
        else gettext("In a chunk of %(events)s")
    )
    values = {"events": events_counted(outcome.chunk_count), "worker": outcome.worker}
    yield Entry(
        at=outcome.acknowledged_at,
        state=DeliveryState.ACKNOWLEDGED,
        words=text % values,
        run_ms=outcome.run_ms,
    )


def _of_failed_tasks(delivery: Delivery) -> Iterator[Entry]:
    for task in delivery.failed_tasks.all():
        yield Entry(
            at=task.opened_at,
            state=Verdict.GIVEN_UP,
            words=_given_up(error_line(task.error)),
            failed_task_id=task.pk,
        )
        if task.settled_at is not None:
            yield Entry(
                at=task.settled_at,
                state=task.state,
                words=_settled(task),
                successor_id=task.successor_id,
            )


def _given_up(error: str) -> str:
    if not error:
        return gettext("The router gave up")
    return gettext("The router gave it up: %(error)s") % {"error": error}


def _settled(task: FailedTask) -> str:
    done = _settled_by(task)
    note = printable_line(task.settled_note)
    if not note:
        return done
    return gettext("%(state)s: %(cause)s") % {"state": done, "cause": note}


def _settled_by(task: FailedTask) -> str:
    person = task.settled_by_name or gettext("an unknown operator")
    if task.successor is None:
        return gettext("By %(person)s") % {"person": person}
    if task.state == FailedTaskState.REDIRECTED:
        values = {"person": person, "subscriber": task.successor.subscriber}
        return gettext("By %(person)s, to %(subscriber)s") % values
    text = gettext("By %(person)s, edited: event #%(event)s takes its place")
    return text % {"person": person, "event": task.successor.event_id}
