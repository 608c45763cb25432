"""Why an event was not asked for: its type, a limit, a clause of the filter."""

from __future__ import annotations

from django.utils.translation import gettext

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
        gettext(
            "The event is for another subscriber alone, so %(subscriber)s does not get "
            "it."
        )
        % {"subscriber": case.subscriber},
        addressee={"subscriber_id": case.event.only_for_id},
    )


def _by_type(case: Case, asked: Subscriber, period: Facts) -> Explanation:
    text = gettext(
        "%(subscriber)s did not ask for %(type)s: at %(place)s it asked for %(wanted)s."
    )
    values = {
        "subscriber": case.subscriber,
        "type": case.event.type,
        "place": place_name(case.position),
        "wanted": ", ".join(asked.events) or gettext("no event type"),
    }
    return case.explained(
        Verdict.FILTERED_BY_TYPE,
        text % values,
        period=period,
    )


def _by_limits(case: Case, asked: Subscriber, period: Facts) -> Explanation:
    types, sources = asked.allowed_types, asked.allowed_sources
    return case.explained(
        Verdict.FILTERED_BY_LIMITS,
        gettext(
            "%(subscriber)s may not receive the event: it may receive the types "
            "%(types)s of the sources %(sources)s."
        )
        % {
            "subscriber": case.subscriber,
            "types": ", ".join(types) or gettext("none"),
            "sources": ", ".join(sources) or gettext("none"),
        },
        limits={"allowed_types": types, "allowed_sources": sources},
        period=period,
    )


def _by_clause(case: Case, rejected: Rejection, period: Facts) -> Explanation:
    return case.explained(
        Verdict.FILTERED_BY_CLAUSE,
        gettext("The filter of %(subscriber)s rejects the event at %(place)s: %(why)s.")
        % {
            "subscriber": case.subscriber,
            "place": rejected.pointer,
            "why": rejected.why,
        },
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
