"""Explain: why a subscriber did or did not get an event."""

from __future__ import annotations

from django.utils.translation import gettext

from router.models import (
    Acknowledgement,
    Delivery,
    EventRecord,
    LogHead,
    Subscriber,
)
from router.observe.explain.case import (
    Case,
    Explanation,
    Verdict,
    facts_of_event,
    facts_of_subscriber,
    moment,
)
from router.observe.explain.ending import of_deleted, of_delivery
from router.observe.explain.filtering import not_asked_for
from router.observe.explain.runs import beside, of_backfill, runs_covering
from router.observe.explain.waiting import above
from router.observe.live_cursors import cursor_telling_of
from router.observe.outcome import chunk_covering
from router.observe.wording import events_counted, grouped


def explain(event: EventRecord, subscriber: Subscriber) -> Explanation:
    """Why the subscriber did or did not get the event, at a bounded count of
    statements."""
    if event.position is None:
        return _not_routed(event, subscriber)
    # In this order, as in `outcomes_of`: what happens between two of the statements is
    # found in the later one.
    cursor = cursor_telling_of(event.position, subscriber)
    rows = Delivery.objects.filter(event=event, subscriber=subscriber).order_by("run")
    case = Case(event=event, subscriber=subscriber, cursor=cursor, rows=tuple(rows))
    runs = runs_covering(case)
    if case.row:
        return beside(of_delivery(case, case.row), case, runs)
    return beside(of_backfill(case, runs) or _without_delivery(case), case, runs)


def explain_delivery(delivery: Delivery) -> Explanation:
    """Why this delivery, of whatever run, is where it is."""
    event, subscriber = delivery.event, delivery.subscriber
    cursor = cursor_telling_of(event.position or 0, subscriber)
    case = Case(event=event, subscriber=subscriber, cursor=cursor, rows=(delivery,))
    return of_delivery(case, delivery)


def explain_missing(number: int, subscriber: Subscriber) -> Explanation | None:
    """Why the log has no event of this number; None where it never gave the number."""
    head = LogHead.objects.filter(pruned_number__gte=number).first()
    if head is None or number < 1:
        return None
    return Explanation(
        verdict=Verdict.PRUNED,
        sentence=gettext(
            "Event #%(number)s is not in the log: events up to number %(pruned)s were "
            "pruned when they were old and owed to nobody. What became of it is not "
            "kept."
        )
        % {"number": number, "pruned": grouped(head.pruned_number)},
        evidence={
            "log": {
                "pruned_to_position": head.pruned_to,
                "pruned_to_number": head.pruned_number,
            },
            "subscriber": facts_of_subscriber(subscriber),
        },
    )


def _not_routed(event: EventRecord, subscriber: Subscriber) -> Explanation:
    return Explanation(
        verdict=Verdict.NOT_ROUTED,
        sentence=gettext(
            "It is recorded and has no position yet: the dispatcher gives it one, and "
            "then decides which subscribers get it."
        ),
        evidence={
            "event": facts_of_event(event),
            "subscriber": facts_of_subscriber(subscriber),
        },
    )


def _without_delivery(case: Case) -> Explanation:
    cursor, began = case.cursor, _began(case)
    if case.event.is_imported and not (cursor and cursor.reads(case.position)):
        return _imported(case)
    if case.position <= began and case.event.only_for_id != case.subscriber.pk:
        return case.explained(
            Verdict.BEFORE_SUBSCRIBER,
            gettext(
                "The event is from before %(subscriber)s: it has position "
                "%(position)s, and %(subscriber)s began after position %(began)s."
            )
            % {
                "subscriber": case.subscriber,
                "position": grouped(case.position),
                "began": grouped(began),
            },
            beginning={"after_position": began, "at": case.subscriber.created_at},
        )
    if rejected := not_asked_for(case):
        return rejected
    if cursor and case.position <= cursor.position:
        chunk = chunk_covering(cursor.cursor_id, case.position)
        if chunk:
            return _acknowledged(case, chunk)
    elif cursor and cursor.is_in_use:
        return above(case, cursor)
    if case.subscriber.deleted_at is not None:
        return of_deleted(case)
    return _unknown(case)


def _imported(case: Case) -> Explanation:
    return case.explained(
        Verdict.BEFORE_SUBSCRIBER,
        gettext(
            "The event was imported at %(moment)s: it is a fact from before the "
            "router, and %(subscriber)s gets it by a backfill or a replay alone."
        )
        % {"moment": moment(case.event.recorded_at), "subscriber": case.subscriber},
    )


def _began(case: Case) -> int:
    """After which position the subscriber began: a release that knew no cursors, or an
    order that begins in the past, gives it an older beginning than the other."""
    live_from = case.subscriber.live_from
    return min(case.cursor.start, live_from) if case.cursor else live_from


def _acknowledged(case: Case, chunk: Acknowledgement) -> Explanation:
    text = (
        gettext(
            "%(subscriber)s acknowledged it at %(moment)s, in a chunk of %(events)s."
        )
        if chunk.count > 1
        else gettext("%(subscriber)s acknowledged it at %(moment)s.")
    )
    return case.explained(
        Verdict.ACKNOWLEDGED,
        text
        % {
            "subscriber": case.subscriber,
            "moment": moment(chunk.acknowledged_at),
            "events": events_counted(chunk.count),
        },
        chunk={
            "first_position": chunk.first,
            "last_position": chunk.last,
            "events": chunk.count,
            "acknowledged_at": chunk.acknowledged_at,
            "run_ms": chunk.run_ms,
            "worker": chunk.worker or None,
        },
    )


def _unknown(case: Case) -> Explanation:
    return case.explained(
        Verdict.UNKNOWN,
        gettext(
            "The router has neither a delivery nor an acknowledgement of it for "
            "%(subscriber)s. The code or the limits of its filter may have been "
            "different when the event was routed."
        )
        % {"subscriber": case.subscriber},
    )
