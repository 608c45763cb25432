"""What an event waits for: its key, its time, its turn, or what holds all."""

from __future__ import annotations

from django.utils.translation import gettext, ngettext

from router.conf import conf
from router.flow.cursor.limit import open_count
from router.models import Delivery, DeliveryState, Transport, Turn
from router.models.gap import place_name
from router.observe.explain.attempts import attempt_facts, delivery_facts
from router.observe.explain.case import (
    Case,
    Explanation,
    Facts,
    Verdict,
    moment,
)
from router.observe.explain.holding import held
from router.observe.key_order import blocker_of
from router.observe.live_cursors import LiveCursor
from router.observe.wording import because, grouped

#: Deliveries that came due earlier are counted so far.
MAX_COUNTED = 10_000


def pending(case: Case, row: Delivery) -> Explanation:
    """What a delivery waits for."""
    known = {"delivery": delivery_facts(row), **attempt_facts(row)}
    if holding := held(case, **known):
        return holding
    if row.is_held:
        return _of_key(case, row, **known)
    if row.due_at and row.due_at > case.now:
        return _of_time(case, row, **known)
    return _of_turn_of_row(case, row, **known)


def _of_key(case: Case, row: Delivery, **evidence: Facts) -> Explanation:
    blocker = blocker_of(row)
    if blocker is None:
        sentence = gettext("It is the next event of its ordering key, and goes next.")
        return case.explained(Verdict.WAITING_FOR_KEY, sentence, **evidence)
    text = (
        gettext(
            "It waits for event #%(event)s, which has the same ordering key and comes "
            "first, which the router gave up: retry or discard its failed task."
        )
        if blocker.state == DeliveryState.DEAD
        else gettext(
            "It waits for event #%(event)s, which has the same ordering key and comes "
            "first."
        )
    )
    return case.explained(
        Verdict.WAITING_FOR_KEY,
        text % {"event": blocker.event_id},
        blocker={
            "event": blocker.event_id,
            "delivery": blocker.pk,
            "state": blocker.state,
            "due_at": blocker.due_at,
        },
        **evidence,
    )


def _of_time(case: Case, row: Delivery, **evidence: Facts) -> Explanation:
    error = evidence.get("attempt", {}).get("error") or ""
    text = ngettext(
        "%(count)s attempt did not acknowledge it",
        "%(count)s attempts did not acknowledge it",
        row.attempts,
    )
    tried = because(text % {"count": grouped(row.attempts)}, error)
    next_try = gettext("The next attempt is at %(moment)s.")
    next_try %= {"moment": moment(row.due_at)}
    return case.explained(
        Verdict.WAITING_FOR_TIME,
        f"{tried} {next_try}" if row.attempts else next_try,
        **evidence,
    )


def _of_turn_of_row(case: Case, row: Delivery, **evidence: Facts) -> Explanation:
    if case.subscriber.transport == Transport.PULL:
        text = gettext("It waits for its turn: %(subscriber)s has not pulled it yet.")
        sentence = text % {"subscriber": case.subscriber}
        return case.explained(Verdict.WAITING_FOR_TURN, sentence, **evidence)
    earlier = Delivery.objects.filter(
        subscriber=row.subscriber_id,
        state=DeliveryState.PENDING,
        due_at__lt=row.due_at,
    )
    before = earlier[:MAX_COUNTED].count()
    is_on_its_way = row.dispatched_until is not None and row.dispatched_until > case.now
    text = (
        gettext("It waits for its turn: a message for it is on its way to a worker.")
        if is_on_its_way
        else ngettext(
            "It waits for its turn: %(count)s delivery came due earlier.",
            "It waits for its turn: %(count)s deliveries came due earlier.",
            before,
        )
    )
    return case.explained(
        Verdict.WAITING_FOR_TURN,
        text % {"count": grouped(before)},
        turn={"due_earlier": before, "is_on_its_way": is_on_its_way},
        **evidence,
    )


def above(case: Case, cursor: LiveCursor) -> Explanation:
    """What an event above the cursor waits for, which has no delivery."""
    turn = Turn.objects.filter(pk=case.subscriber.pk).first()
    if case.position <= cursor.leased_to:
        return _at_work(case, turn)
    if holding := held(case):
        return holding
    if _is_full(case, turn):
        return case.explained(
            Verdict.WAITING_FOR_LIMIT,
            gettext(
                "It waits because %(subscriber)s has %(count)s open deliveries, which "
                "is the limit: some of them must end first."
            )
            % {"subscriber": case.subscriber, "count": grouped(conf().max_open)},
            limit={"max_open": conf().max_open},
        )
    distance = cursor.distance(case.position)
    return case.explained(
        Verdict.WAITING_FOR_TURN,
        gettext(
            "It waits for its turn: the cursor of %(subscriber)s is at %(place)s, and "
            "the event %(count)s further on."
        )
        % {
            "subscriber": case.subscriber,
            "place": place_name(cursor.position),
            "count": grouped(distance),
        },
        turn={"distance": distance},
    )


def _at_work(case: Case, turn: Turn | None) -> Explanation:
    leased_until = turn.leased_until if turn else None
    return case.explained(
        Verdict.WORKING,
        gettext("%(subscriber)s works on it now, under a lease until %(moment)s.")
        % {"subscriber": case.subscriber, "moment": moment(leased_until)},
        lease={"leased_until": leased_until},
    )


def _is_full(case: Case, turn: Turn | None) -> bool:
    return turn.is_full if turn else open_count(case.subscriber.pk) >= conf().max_open
