"""Why an event was not asked for: its type, a limit, a clause of the filter."""

from __future__ import annotations

from router.contract.rejecting import Rejection, rejection
from router.flow.cursor.asking import Asking
from router.models import Subscriber
from router.models.cursor import BEFORE_EVERYTHING
from router.models.gap import place_name
from router.observe.explain.case import Case, Explanation, Facts, Verdict


def not_asked_for(case: Case) -> Explanation | None:
    """Which types, limit or clause keep the event from the subscriber, by the period of
    its position; None where it asked for the event."""
    event, subscriber = case.event, case.subscriber
    if event.only_for_id is not None:
        return None if event.only_for_id == subscriber.pk else _for_another(case)
    asking = case.cursor.asking if case.cursor else Asking.of(subscriber)
    after, to, asked = asking.at(case.position)
    period = {
        "after_position": None if after == BEFORE_EVERYTHING else after,
        "to_position": to,
        "events": asked.events,
        "filter": asked.filter,
    }
    if not asked.asks_for(event.type):
        return _by_type(case, asked, period)
    if not asked.may_receive(event):
        return _by_limits(case, asked, period)
    rejected = rejected_by(case, asked)
    return _by_clause(case, rejected, period) if rejected else None


def _for_another(case: Case) -> Explanation:
    return case.explained(
        Verdict.FOR_ANOTHER_SUBSCRIBER,
        f"The event is for another subscriber alone, so {case.subscriber} does not "
        "get it.",
        addressee={"subscriber_id": case.event.only_for_id},
    )


def _by_type(case: Case, asked: Subscriber, period: Facts) -> Explanation:
    wanted = ", ".join(asked.events) or "no event type"
    return case.explained(
        Verdict.FILTERED_BY_TYPE,
        f"{case.subscriber} did not ask for {case.event.type}: at "
        f"{place_name(case.position)} it asked for {wanted}.",
        period=period,
    )


def _by_limits(case: Case, asked: Subscriber, period: Facts) -> Explanation:
    types, sources = asked.allowed_types, asked.allowed_sources
    return case.explained(
        Verdict.FILTERED_BY_LIMITS,
        f"{case.subscriber} may not receive the event: it may receive the types "
        f"{', '.join(types) or 'none'} of the sources {', '.join(sources) or 'none'}.",
        limits={"allowed_types": types, "allowed_sources": sources},
        period=period,
    )


def _by_clause(case: Case, rejected: Rejection, period: Facts) -> Explanation:
    return case.explained(
        Verdict.FILTERED_BY_CLAUSE,
        f"The filter of {case.subscriber} rejects the event at {rejected.pointer}: "
        f"{rejected.why}.",
        clause={
            "pointer": rejected.pointer,
            "clause": rejected.clause,
            "found": rejected.found,
        },
        period=period,
    )


def rejected_by(case: Case, asked: Subscriber) -> Rejection | None:
    """The clause of the filter of `asked` that says no to the event."""
    if asked.filter is None:
        return None
    try:
        return rejection(asked.filter, case.event.context(), case.event.json_data())
    except Exception:  # noqa: BLE001 - a filter that raises keeps no event away
        return None
