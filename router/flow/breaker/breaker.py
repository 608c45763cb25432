"""The breaker of a subscriber: the rule of `router.contract`, applied to its row.

An outage is not a poison event, nor the other way round. What a failure means for the
event, `router.contract.failures` says; what it means for the receiver,
`router.contract.breaker`. Opening and closing each begin an epoch: an attempt of an
older one changes nothing here.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from django.db.models import F, Q

from router.conf import conf
from router.contract.breaker import RECENTLY, Breaker, Waits
from router.contract.failures import Past, Receiver, Verdict, judge
from router.contract.outcomes import Dead, FailureKind, Retry
from router.db.statements import SUBSCRIBER, Select
from router.flow import audit
from router.flow.breaker import notices
from router.flow.breaker.probes import jittered, probe_pause
from router.flow.lease import Claim, Done
from router.flow.retry_waits import asked_wait_seconds, schedule_of
from router.models import (
    REMOTE,
    BreakerState,
    Clock,
    Delivery,
    Subscriber,
    SubscriberState,
    Transport,
)
from router.models.subscriber import fails_by_type

GONE = "Gone (HTTP 410): it says that it wants nothing any more."
KEPT = "What it is owed is kept: resume it when it is back."
ALWAYS = Q()


def columns(breaker: Breaker) -> dict[str, Any]:
    """The breaker as the subscriber's row keeps it, with no probe chosen."""
    return {
        "breaker": breaker.state,
        "failed_in_a_row": list(breaker.failed_in_a_row),
        "probe_count": breaker.probe_count,
        "ramp": breaker.ramp,
        "probe_id": None,
        "probe_at": None,
    }


#: Nothing is known of the receiver.
UNTRIED: dict[str, Any] = {
    **columns(Breaker()),
    "breaker_epoch": F("breaker_epoch") + 1,
    "incident_since": None,
    "not_before": None,
}
#: An operator says that the receiver is well again: the backlog drains at a ramp.
DRAINING: dict[str, Any] = {**UNTRIED, "breaker": BreakerState.DRAINING, "ramp": 1}


def note_failure(
    claim: Claim[Any],
    delivery: Any,
    outcome: Retry | Dead,
    *,
    is_beside_success: bool = False,
) -> Verdict:
    """Move the receiver's breaker; returns what the failure means for the event.

    `is_beside_success`: a success of the same moment shows that the receiver is well.
    Runs in the caller's transaction, which holds the delivery; locks the subscriber,
    and leaves `delivery.subscriber` as it is now.
    """
    [subscriber] = _LOCKED.models(subscriber_id=claim.subscriber.pk)
    delivery.subscriber = subscriber
    is_late = subscriber.breaker_epoch != claim.subscriber.breaker_epoch
    verdict = verdict_on(delivery, outcome, is_late=is_late)
    if is_late or _paces_itself(subscriber):
        return verdict
    if isinstance(outcome, Retry) and outcome.kind is FailureKind.GONE:
        disable(subscriber, delivery, GONE)
    elif subscriber.breaker == BreakerState.OPEN:
        _note_probe(subscriber, outcome)
    elif isinstance(outcome, Retry) and not (is_beside_success or verdict.is_asked):
        _note_failure(subscriber, delivery, outcome, verdict)
    if isinstance(outcome, Retry) and verdict.is_asked:
        _wait_as_asked(subscriber, delivery, outcome)
    return verdict


def verdict_on(
    delivery: Any, outcome: Retry | Dead, *, is_late: bool = False
) -> Verdict:
    """What the failure means for the event: `delivery` is as it was at its `now`.

    `is_late`: the breaker opened or closed since the attempt began.
    """
    if isinstance(outcome, Dead):
        return Verdict(counts=True, is_final=True, is_witnessed=delivery.is_witnessed)
    if outcome.kind is FailureKind.GONE:
        return Verdict(counts=False, is_witnessed=delivery.is_witnessed)
    subscriber = delivery.subscriber
    past = Past(
        failures=delivery.failures,
        first_failed_at=delivery.failing_since,
        last_failed_at=delivery.last_failed_at,
        is_witnessed=delivery.is_witnessed,
    )
    receiver = Receiver(
        success_began_at=subscriber.last_success_began_at,
        success_ended_at=subscriber.last_acknowledged_at,
        is_in_doubt=is_late or subscriber.breaker == BreakerState.OPEN,
        is_failing=len(subscriber.failed_in_a_row) >= conf().breaker_threshold,
    )
    schedule = schedule_of(subscriber)
    return judge(outcome, past, receiver, now=delivery.now, schedule=schedule)


def note_success(before: Subscriber, first: Done, *, has_more: bool) -> None:
    """Close the breaker, or steepen the ramp, in the transaction that acknowledges.

    Nothing to do where `is_troubled` says no. `before` is the subscriber as it was
    claimed, `first` the first of what it acknowledged; `has_more`: more is due.
    """
    breaker = Breaker(state=BreakerState(before.breaker), ramp=before.ramp)
    after = breaker.after_success(chunk_limit=conf().chunk_limit, has_more=has_more)
    is_over = after.state is BreakerState.CLOSED
    changed = Subscriber.objects.filter(
        pk=before.pk, breaker_epoch=before.breaker_epoch
    ).update(
        **columns(after),
        breaker_epoch=F("breaker_epoch") + int(breaker.is_open),
        incident_since=None if is_over else before.incident_since,
    )
    if changed and is_over and before.incident_since:
        notices.notify_recovered(before, first.to_event().type)


def is_troubled(subscriber: Subscriber) -> bool:
    """Whether a success changes more than the time of the last one."""
    is_closed = subscriber.breaker == BreakerState.CLOSED
    return not (is_closed or _paces_itself(subscriber))


def is_left_alone(subscriber: Subscriber, *, now: datetime) -> bool:
    """Whether only a probe may be sent to the subscriber now."""
    is_held = subscriber.state != SubscriberState.ACTIVE
    is_open = subscriber.breaker == BreakerState.OPEN
    has_asked = subscriber.not_before is not None and subscriber.not_before > now
    return is_held or is_open or has_asked


def disable(
    subscriber: Subscriber, delivery: Delivery, reason: str, when: Q = ALWAYS
) -> None:
    """Hold what is owed until an operator resumes, with one notice."""
    changed = Subscriber.objects.filter(
        when, pk=subscriber.pk, state=SubscriberState.ACTIVE
    ).update(
        state=SubscriberState.DISABLED,
        state_reason=f"{reason} {KEPT}",
        state_changed_at=Clock(),
    )
    if changed:
        subscriber.state = SubscriberState.DISABLED
        audit.note(
            "subscriber.disabled",
            subscriber,
            by=audit.ROUTER,
            reason=reason,
        )
        notices.notify_disabled(subscriber, delivery, reason)


def _paces_itself(subscriber: Subscriber) -> bool:
    """Whether it pulls: a puller comes when it can, and needs no breaker."""
    return subscriber.transport == Transport.PULL


def _breaker_of(subscriber: Subscriber) -> Breaker:
    return Breaker(
        state=BreakerState(subscriber.breaker),
        failed_in_a_row=tuple(subscriber.failed_in_a_row),
        probe_count=subscriber.probe_count,
        ramp=subscriber.ramp,
    )


def _note_failure(
    subscriber: Subscriber, delivery: Any, outcome: Retry, verdict: Verdict
) -> None:
    last = subscriber.last_acknowledged_at
    culprit, kind = _culprit(subscriber, delivery, outcome)
    after = _breaker_of(subscriber).after_failure(
        culprit,
        kind,
        is_witnessed=verdict.is_witnessed,
        is_recent=last is not None and delivery.now - last < RECENTLY,
        threshold=conf().breaker_threshold,
    )
    if after.is_open:
        _open(subscriber, delivery, after)
        return
    subscriber.failed_in_a_row = list(after.failed_in_a_row)
    subscriber.save(update_fields=["failed_in_a_row"])


def _culprit(
    subscriber: Subscriber, delivery: Any, outcome: Retry
) -> tuple[int, FailureKind]:
    """What failed, as the row of failures counts it, and how.

    A type that fails twice in a row says nothing of the others, whatever its error.
    """
    if not fails_by_type(subscriber):
        return delivery.pk, outcome.kind
    # Below zero, where no delivery is.
    return -1 - crc32(delivery.event.type.encode()), FailureKind.REFUSED


def _open(subscriber: Subscriber, delivery: Delivery, after: Breaker) -> None:
    is_news = subscriber.incident_since is None
    changes = {
        **columns(after),
        "breaker_epoch": subscriber.breaker_epoch + 1,
        "probe_at": Clock() + jittered(conf().probe_first_seconds),
        **({"incident_since": Clock()} if is_news else {}),
    }
    Subscriber.objects.filter(pk=subscriber.pk).update(**changes)
    subscriber.breaker = BreakerState.OPEN
    if is_news:
        notices.notify_opened(subscriber, delivery)


def _note_probe(subscriber: Subscriber, outcome: Retry | Dead) -> None:
    kind = outcome.kind if isinstance(outcome, Retry) else FailureKind.REFUSED
    waits = Waits(
        first_seconds=conf().probe_first_seconds,
        maximum_seconds=conf().probe_maximum_seconds,
    )
    after, seconds = _breaker_of(subscriber).after_probe(kind, waits)
    Subscriber.objects.filter(pk=subscriber.pk).update(
        probe_count=after.probe_count,
        probe_at=Clock() + probe_pause(subscriber, seconds),
    )


def _wait_as_asked(subscriber: Subscriber, delivery: Any, outcome: Retry) -> None:
    """The receiver names the time of its next event; a handler, that of this one."""
    if subscriber.transport not in REMOTE:
        return
    wait = timedelta(seconds=asked_wait_seconds(outcome))
    subscriber.not_before = delivery.now + wait
    changes: dict[str, Any] = {"not_before": subscriber.not_before}
    if subscriber.breaker != BreakerState.OPEN:
        drains = Breaker(state=BreakerState.DRAINING, ramp=1)
        changes |= {**columns(drains), "breaker_epoch": subscriber.breaker_epoch + 1}
    Subscriber.objects.filter(pk=subscriber.pk).update(**changes)


def has_due(subscriber: Subscriber, *, beside: Collection[int] = ()) -> bool:
    """Whether deliveries are due, other than these."""
    owed = Delivery.objects.filter(subscriber=subscriber).due()
    return owed.exclude(pk__in_array=beside).exists()


_LOCKED = Select(
    lambda: (
        Subscriber.objects.select_for_update()
        .defer("custom_headers")
        .filter(pk=SUBSCRIBER)
        .order_by()
    )
)
