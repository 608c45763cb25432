"""How a delivery ended, or is about to: at work, acknowledged, given up, cancelled."""

from __future__ import annotations

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
    counted,
    ended,
    moment,
)
from router.observe.explain.waiting import pending
from router.observe.last_failure import printable_line


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
    who = f"The consumer of {case.subscriber}" if is_pulled else "A worker"
    return case.explained(
        Verdict.WORKING,
        f"{who} works on it now, under a lease until {moment(row.leased_until)}.",
        delivery=delivery_facts(row),
        **attempt_facts(row),
    )


def _acknowledged(case: Case, row: Delivery) -> Explanation:
    return case.explained(
        Verdict.ACKNOWLEDGED,
        f"{case.subscriber} acknowledged it at {moment(row.acknowledged_at)}, at "
        f"attempt {row.attempts}.",
        delivery=delivery_facts(row),
        **attempt_facts(row),
    )


def _given_up(case: Case, row: Delivery) -> Explanation:
    failed = _failed_task(row)
    words = printable_line(failed.error) if failed else ""
    tried = f"The router gave it up after {counted(row.attempts, 'attempt')}"
    what_now = f" Retry or discard failed task {failed.pk}." if failed else ""
    return case.explained(
        Verdict.GIVEN_UP,
        f"{ended(f'{tried}: {words}' if words else tried)}{what_now}",
        **({"failed_task": _failed_facts(failed)} if failed else {}),
        delivery=delivery_facts(row),
        **attempt_facts(row),
    )


def _cancelled(case: Case, row: Delivery) -> Explanation:
    failed = _failed_task(row)
    known = {"delivery": delivery_facts(row), **attempt_facts(row)}
    if failed and failed.state == FailedTaskState.DISCARDED and failed.settled_by_name:
        note = f": {printable_line(failed.settled_note)}" if failed.settled_note else ""
        return case.explained(
            Verdict.CANCELLED,
            ended(
                f"{failed.settled_by_name} discarded its failed task at "
                f"{moment(failed.settled_at)}{note}"
            ),
            failed_task=_failed_facts(failed),
            **known,
        )
    if failed and failed.successor:
        return case.explained(
            Verdict.CANCELLED,
            f"{_substituted(failed, failed.successor)} at {moment(failed.settled_at)}.",
            failed_task=_failed_facts(failed),
            successor=delivery_facts(failed.successor),
            **known,
        )
    if case.subscriber.deleted_at is not None:
        return of_deleted(case, **known)
    is_beyond = not case.subscriber.may_receive(case.event)
    why = (
        f": it lies beyond what {case.subscriber} may receive since its limits changed"
        if is_beyond
        else ""
    )
    return case.explained(Verdict.CANCELLED, f"It was cancelled{why}.", **known)


def _substituted(failed: FailedTask, successor: Delivery) -> str:
    by = failed.settled_by_name
    if failed.state == FailedTaskState.REDIRECTED:
        return f"{by} redirected it to {successor.subscriber}"
    return f"{by} edited it: event #{successor.event_id} took its place"


def of_deleted(case: Case, **evidence: Facts) -> Explanation:
    """The subscriber was deleted: by whom and when, from the audit."""
    subscriber = case.subscriber
    target = f"subscriber {subscriber.name}"
    acts = AuditEntry.objects.filter(action="subscriber.deleted", target=target)
    # One of the same name may have been deleted later.
    act = acts.filter(at__gte=subscriber.created_at).order_by("pk").first()
    by = f" by {act.actor}" if act else ""
    return case.explained(
        Verdict.CANCELLED,
        f"{subscriber} was deleted{by} at {moment(subscriber.deleted_at)}: it is owed "
        "nothing any more.",
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
