"""Step 6 for pullers: ack, nack, release and extend, many leases at a time.

Each lease is answered by itself: one that is lost stops no other. The statements do not
grow with the leases, except that each delivery that dies opens its own failed task.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from router.conf import conf
from router.contract.outcomes import Dead, Evidence, Retry
from router.flow.breaker.breaker import verdict_on
from router.flow.deliver import releasing, settling
from router.flow.pull.holding import (
    Authorizer,
    Lease,
    Refusal,
    holdings,
    lock_held,
    models_of,
    refusals,
)
from router.models import (
    Clock,
    Delivery,
    Settlement,
    Subscriber,
    settled_by,
)

SPENT = "This lease was extended for as long as one may be; settle the delivery."
NO_REASON = "no reason was given"


def ack(leases: Sequence[Lease], *, may_touch: Authorizer) -> list[Refusal]:
    """Acknowledge; an answer to each lease, in order. A repeated call gets the same."""
    with transaction.atomic():
        held = lock_held(leases, may_touch=may_touch)
        for holding in holdings(held.values()):
            run_ms = {row.pk: _in_ms(row.held_for) for row in holding.deliveries}
            settling.acknowledge(holding, run_ms=run_ms, is_pulled=True)
    return refusals(leases, held, may_touch=may_touch, settlement=Settlement.ACK)


def nack(
    leases: Sequence[Lease], *, may_touch: Authorizer, reason: str = ""
) -> list[Refusal]:
    """Refuse for now: due after the lease's `seconds`, at most a day, or on schedule.

    Each counts a failure; at the subscriber's `max_failures` the delivery is dead, with
    a failed task that keeps `reason`.
    """
    with transaction.atomic():
        held = lock_held(leases, may_touch=may_touch)
        rows = models_of(held)
        failures = [_failure(row, lease, reason) for lease, row in rows.items()]
        failing = {row.subscriber.pk for row in held.values()}
        Subscriber.objects.filter(pk__in=failing).update(last_failed_at=Clock())
        settling.settle_failures(failures, **settled_by(Settlement.NACK))
    return refusals(leases, held, may_touch=may_touch, settlement=Settlement.NACK)


def reject(lease: Lease, evidence: Evidence) -> None:
    """Give up a delivery that can't be sent; a failed task keeps the evidence."""
    with transaction.atomic():
        held = lock_held([lease], may_touch=lambda _: True)
        for holding in holdings(held.values()):
            settling.settle_failure(holding, Dead(evidence), run_ms=0.0)


def release(leases: Sequence[Lease], *, may_touch: Authorizer) -> list[Refusal]:
    """Give back what was not begun: due at once, its attempt uncounted."""
    with transaction.atomic():
        held = lock_held(leases, may_touch=may_touch)
        for holding in holdings(held.values()):
            releasing.release(holding, **settled_by(Settlement.RELEASE))
    return refusals(leases, held, may_touch=may_touch, settlement=Settlement.RELEASE)


def extend(
    leases: Sequence[Lease], *, may_touch: Authorizer
) -> list[tuple[Refusal, datetime | None]]:
    """Hold each lease for its `seconds` from now; refusals, and when the leases end.

    None holds for longer than ROUTER["PULL_TOTAL_MAXIMUM_SECONDS"] since its pull. Of a
    lease that is named twice, the last `seconds` count.
    """
    total = timedelta(seconds=conf().pull_total_maximum_seconds)
    with transaction.atomic():
        held = lock_held(leases, may_touch=may_touch)
        rows = models_of(held)
        extended = {
            lease: row for lease, row in rows.items() if row.now < row.pulled_at + total
        }
        for lease, row in extended.items():
            row.leased_until = min(row.now + _asked(lease), row.pulled_at + total)
        Delivery.objects.bulk_update(extended.values(), ["leased_until"])
    lost = refusals(leases, held, may_touch=may_touch, settlement=None)
    # By pair: a lease may be named twice, with other seconds.
    ends = {lease.pair: row.leased_until for lease, row in extended.items()}
    return [
        (why or (None if lease.pair in ends else SPENT), ends.get(lease.pair))
        for lease, why in zip(leases, lost, strict=True)
    ]


def _asked(lease: Lease) -> timedelta:
    return timedelta(seconds=lease.seconds or 0)


def _failure(row: Any, lease: Lease, reason: str) -> settling.Failure:
    evidence = Evidence("Nacked", reason or NO_REASON)
    outcome = Retry(evidence, after_seconds=lease.seconds)
    return settling.Failure(
        delivery=row,
        outcome=outcome,
        verdict=verdict_on(row, outcome),
        run_ms=_in_ms(row.now - row.pulled_at),
    )


def _in_ms(held_for: timedelta) -> float:
    return held_for.total_seconds() * 1000
