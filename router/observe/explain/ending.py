"""How a delivery ended, or is about to: at work, acknowledged, given up, cancelled."""

from __future__ import annotations

from django.utils.translation import gettext

from router.models import (
    AuditEntry,
    Delivery,
    DeliveryState,
    FailedTask,
    FailedTaskState,
    Transport,
)
from router.observe.explain.attempts import attempt_facts, delivery_facts
from router.observe.explain.case import (
    Case,
    Explanation,
    Facts,
    Verdict,
    moment,
)
from router.observe.explain.waiting import pending
from router.observe.last_failure import printable_line
from router.observe.wording import attempts_counted, because


def of_delivery(case: Case, row: Delivery) -> Explanation:
    """The explanation that the event's delivery gives."""
    match DeliveryState(row.state):
        case DeliveryState.PENDING if case.subscriber.deleted_at is not None:
            # The sweep cancels it.
            return of_deleted(case, delivery=delivery_facts(row))
        case DeliveryState.PENDING:
            return pending(case, row)
        case DeliveryState.LEASED:
            return _at_work(case, row)
        case DeliveryState.ACKNOWLEDGED:
            return _acknowledged(case, row)
        case DeliveryState.DEAD:
            return _given_up(case, row)
        case DeliveryState.CANCELLED:
            return _cancelled(case, row)


def _at_work(case: Case, row: Delivery) -> Explanation:
    is_pulled = case.subscriber.transport == Transport.PULL
    text = (
        gettext(
            "The consumer of %(subscriber)s works on it now, under a lease until "
            "%(moment)s."
        )
        if is_pulled
        else gettext("A worker works on it now, under a lease until %(moment)s.")
    )
    return case.explained(
        Verdict.WORKING,
        text % {"subscriber": case.subscriber, "moment": moment(row.leased_until)},
        delivery=delivery_facts(row),
        **attempt_facts(row),
    )


def _acknowledged(case: Case, row: Delivery) -> Explanation:
    return case.explained(
        Verdict.ACKNOWLEDGED,
        gettext("%(subscriber)s acknowledged it at %(moment)s, at attempt %(attempt)s.")
        % {
            "subscriber": case.subscriber,
            "moment": moment(row.acknowledged_at),
            "attempt": row.attempts,
        },
        delivery=delivery_facts(row),
        **attempt_facts(row),
    )


def _given_up(case: Case, row: Delivery) -> Explanation:
    failed = _failed_task(row)
    words = printable_line(failed.error) if failed else ""
    tried = gettext("The router gave it up after %(attempts)s")
    sentences = [because(tried % {"attempts": attempts_counted(row.attempts)}, words)]
    if failed:
        what_now = gettext("Retry or discard failed task %(task)s.")
        sentences.append(what_now % {"task": failed.pk})
    return case.explained(
        Verdict.GIVEN_UP,
        " ".join(sentences),
        **({"failed_task": _failed_facts(failed)} if failed else {}),
        delivery=delivery_facts(row),
        **attempt_facts(row),
    )


def _cancelled(case: Case, row: Delivery) -> Explanation:
    failed = _failed_task(row)
    known = {"delivery": delivery_facts(row), **attempt_facts(row)}
    if failed and failed.state == FailedTaskState.DISCARDED and failed.settled_by_name:
        discarded = gettext("%(person)s discarded its failed task at %(moment)s")
        values = {"person": failed.settled_by_name, "moment": moment(failed.settled_at)}
        return case.explained(
            Verdict.CANCELLED,
            because(discarded % values, printable_line(failed.settled_note)),
            failed_task=_failed_facts(failed),
            **known,
        )
    if failed and failed.successor:
        return case.explained(
            Verdict.CANCELLED,
            _substituted(failed, failed.successor),
            failed_task=_failed_facts(failed),
            successor=delivery_facts(failed.successor),
            **known,
        )
    if case.subscriber.deleted_at is not None:
        return of_deleted(case, **known)
    return case.explained(Verdict.CANCELLED, _without_operator(case), **known)


def _without_operator(case: Case) -> str:
    if case.subscriber.may_receive(case.event):
        return gettext("It was cancelled.")
    text = gettext(
        "It was cancelled: it lies beyond what %(subscriber)s may receive since its "
        "limits changed."
    )
    return text % {"subscriber": case.subscriber}


def _substituted(failed: FailedTask, successor: Delivery) -> str:
    text = (
        gettext("%(person)s redirected it to %(subscriber)s at %(moment)s.")
        if failed.state == FailedTaskState.REDIRECTED
        else gettext(
            "%(person)s edited it: event #%(event)s took its place at %(moment)s."
        )
    )
    return text % {
        "person": failed.settled_by_name,
        "subscriber": successor.subscriber,
        "event": successor.event_id,
        "moment": moment(failed.settled_at),
    }


def of_deleted(case: Case, **evidence: Facts) -> Explanation:
    """The subscriber was deleted: by whom and when, from the audit."""
    subscriber = case.subscriber
    target = f"subscriber {subscriber.name}"
    acts = AuditEntry.objects.filter(action="subscriber.deleted", target=target)
    # One of the same name may have been deleted later.
    act = acts.filter(at__gte=subscriber.created_at).order_by("pk").first()
    text = (
        gettext(
            "%(subscriber)s was deleted by %(person)s at %(moment)s: it is owed "
            "nothing any more."
        )
        if act
        else gettext(
            "%(subscriber)s was deleted at %(moment)s: it is owed nothing any more."
        )
    )
    return case.explained(
        Verdict.CANCELLED,
        text
        % {
            "subscriber": subscriber,
            "person": act.actor if act else "",
            "moment": moment(subscriber.deleted_at),
        },
        deletion={
            "at": subscriber.deleted_at,
            "by": act.actor if act else None,
            "reason": act.reason if act else None,
        },
        **evidence,
    )


def _failed_task(row: Delivery) -> FailedTask | None:
    """The newest of the delivery. One statement."""
    tasks = FailedTask.objects.filter(delivery=row).defer("traceback")
    tasks = tasks.select_related("successor__subscriber")
    return tasks.order_by("-pk").first()


def _failed_facts(failed: FailedTask) -> Facts:
    return {
        "id": failed.pk,
        "state": failed.state,
        "reason": failed.reason,
        "error": printable_line(failed.error),
        "attempts": failed.attempts,
        "opened_at": failed.opened_at,
        "settled_at": failed.settled_at,
        "settled_by": failed.settled_by_name or None,
    }
