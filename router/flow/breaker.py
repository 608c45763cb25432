"""The breaker of a subscriber: a receiver that is down is left alone, and looked at.

An outage is not a poison event, nor the other way round. Different deliveries that fail
in a row, or one that reaches nobody twice, open it: what is owed is held, and one probe
at a time looks whether the receiver is back. Probes, and attempts in flight at the
opening, count against no delivery. Probes that are answered, and refused, mean that it
is no outage: a trickle goes on in which failures count. Only an attempt that started
after the opening closes the breaker; then the backlog drains at a ramp.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import F, Q

from router.conf import conf
from router.contract.outcomes import Dead, FailureKind, Retry
from router.flow import auditing, incident
from router.flow.claiming import Claim
from router.flow.probing import first_probe_at
from router.models import (
    BreakerState,
    Clock,
    Delivery,
    Subscriber,
    SubscriberState,
    Transport,
)

GONE = "Gone (HTTP 410): it says that it wants nothing any more."
KEPT = "What it is owed is kept: resume it when it is back."
ALWAYS = Q()
CLOSED: dict[str, Any] = {
    "breaker": BreakerState.CLOSED,
    "failed_in_a_row": [],
    "unreachable_in_a_row": [],
    "probe_id": None,
    "probe_at": None,
    "probe_count": 0,
}
#: A person says that all is well again: the backlog drains at a ramp.
AFRESH: dict[str, Any] = {
    **CLOSED,
    "breaker_epoch": F("breaker_epoch") + 1,
    "ramp": 1,
    "incident_since": None,
}


def note_failure(claim: Claim[Any], delivery: Delivery, outcome: Retry | Dead) -> bool:
    """What a failure says of the receiver; whether it counts against the delivery.

    Runs in the caller's transaction, which holds the delivery; locks the subscriber,
    and leaves `delivery.subscriber` as it is now.
    """
    rows = Subscriber.objects.select_for_update().defer("custom_headers")
    subscriber = rows.get(pk=claim.subscriber.pk)
    delivery.subscriber = subscriber
    if _paces_itself(subscriber):
        return True
    if subscriber.breaker_epoch != claim.subscriber.breaker_epoch:
        return False
    if isinstance(outcome, Retry) and outcome.kind is FailureKind.GONE:
        _disable(subscriber, delivery, GONE)
        return False
    if _is_considered(outcome):
        return True
    is_unreachable = _is_unreachable(outcome)
    match BreakerState(subscriber.breaker):
        case BreakerState.CLOSED:
            _count(subscriber, delivery, is_unreachable=is_unreachable)
            return True
        case BreakerState.OPEN:
            _note_probe(subscriber, delivery, is_unreachable=is_unreachable)
            return False
        case BreakerState.TRICKLE:
            if is_unreachable:
                _open(subscriber, delivery)
            return True


def note_success(claim: Claim[Any]) -> None:
    """Close the breaker, or steepen the ramp, in the transaction that acknowledges.

    Nothing to do where `is_troubled` says no.
    """
    before = claim.subscriber
    is_closing = before.breaker != BreakerState.CLOSED
    limit = 1 if is_closing else 2 * (before.ramp or 1)
    is_over = limit >= conf().chunk_limit or not _has_more(claim)
    changed = Subscriber.objects.filter(
        pk=before.pk, breaker_epoch=before.breaker_epoch
    ).update(
        **CLOSED,
        breaker_epoch=F("breaker_epoch") + int(is_closing),
        ramp=None if is_over else limit,
        incident_since=None if is_over else before.incident_since,
    )
    if changed and is_over:
        incident.tell_recovered(claim)


def is_troubled(subscriber: Subscriber) -> bool:
    """Whether a success changes more than the time of the last one."""
    if _paces_itself(subscriber):
        return False
    return subscriber.breaker != BreakerState.CLOSED or subscriber.ramp is not None


def is_left_alone(subscriber: Subscriber) -> bool:
    """Whether nothing but a probe may reach it now."""
    is_held = subscriber.state != SubscriberState.ACTIVE
    return is_held or subscriber.breaker != BreakerState.CLOSED


def _paces_itself(subscriber: Subscriber) -> bool:
    """A puller comes when it can: there is nobody to leave alone."""
    return subscriber.transport == Transport.PULL


def _is_considered(outcome: Retry | Dead) -> bool:
    """A receiver that names its own time, or says never, is well."""
    if isinstance(outcome, Dead):
        return True
    return outcome.after_seconds is not None and not _is_unreachable(outcome)


def _is_unreachable(outcome: Retry | Dead) -> bool:
    return isinstance(outcome, Retry) and outcome.kind is FailureKind.UNREACHABLE


def _count(subscriber: Subscriber, delivery: Delivery, *, is_unreachable: bool) -> None:
    failed = {*subscriber.failed_in_a_row, delivery.pk}
    is_twice = is_unreachable and delivery.pk in subscriber.unreachable_in_a_row
    if is_twice or len(failed) >= conf().breaker_different:
        _open(subscriber, delivery)
        return
    subscriber.failed_in_a_row = sorted(failed)
    if is_unreachable:
        subscriber.unreachable_in_a_row += [delivery.pk]
    subscriber.save(update_fields=["failed_in_a_row", "unreachable_in_a_row"])


def _note_probe(
    subscriber: Subscriber, delivery: Delivery, *, is_unreachable: bool
) -> None:
    if is_unreachable:
        subscriber.failed_in_a_row = []
        subscriber.save(update_fields=["failed_in_a_row"])
        _disable_in_the_end(subscriber, delivery)
        return
    answered = {*subscriber.failed_in_a_row, delivery.pk}
    subscriber.failed_in_a_row = sorted(answered)
    if len(answered) >= conf().breaker_answers:
        subscriber.breaker = BreakerState.TRICKLE
    subscriber.save(update_fields=["failed_in_a_row", "breaker"])


def _open(subscriber: Subscriber, delivery: Delivery) -> None:
    is_news = subscriber.incident_since is None
    changes = {
        **CLOSED,
        "breaker": BreakerState.OPEN,
        "breaker_epoch": subscriber.breaker_epoch + 1,
        "probe_at": first_probe_at(),
        "ramp": None,
        **({"incident_since": Clock()} if is_news else {}),
    }
    Subscriber.objects.filter(pk=subscriber.pk).update(**changes)
    subscriber.breaker = BreakerState.OPEN
    if is_news:
        incident.tell_opened(subscriber, delivery)


def _disable_in_the_end(subscriber: Subscriber, delivery: Delivery) -> None:
    """Down for so long that a person must say when it is worth another look."""
    patience = timedelta(seconds=conf().give_up_after_seconds)
    reason = f"Could not be reached for {patience.total_seconds() / 3600:.0f} hours."
    is_long_down = Q(incident_since__lte=Clock() - patience)
    _disable(subscriber, delivery, reason, is_long_down)


def _disable(
    subscriber: Subscriber, delivery: Delivery, reason: str, when: Q = ALWAYS
) -> None:
    """Hold what is owed until a person resumes, and tell people, once."""
    changed = Subscriber.objects.filter(
        when, pk=subscriber.pk, state=SubscriberState.ACTIVE
    ).update(
        state=SubscriberState.DISABLED,
        state_reason=f"{reason} {KEPT}",
        state_changed_at=Clock(),
    )
    if changed:
        subscriber.state = SubscriberState.DISABLED
        auditing.note(
            "subscriber.disabled",
            f"subscriber {subscriber.name}",
            by=auditing.ROUTER,
            reason=reason,
        )
        incident.tell_disabled(subscriber, delivery, reason)


def _has_more(claim: Claim[Any]) -> bool:
    owed = Delivery.objects.filter(subscriber=claim.subscriber).due()
    return owed.exclude(pk__any_of=claim.ids).exists()
