"""Why a lease that a puller names does not hold, in words that are true.

A puller that loses the answer to a call sends the call again. The lease is gone then,
by the puller's own call: the answer is the same as the first time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from router.flow.pull.holding import Lease, MayTouch, Refusal
from router.models import Delivery, DeliveryState, Settlement, Transport

NO_DELIVERY = "This API key reaches no delivery with this id."
NOT_HELD = "This lease is not held any more: it ran out, was settled or was taken back."
#: Where a delivery that nobody leases any more is now.
WHERE = {
    DeliveryState.ACKNOWLEDGED: "The delivery is acknowledged; it does not come again.",
    DeliveryState.DEAD: "The router gave the delivery up: a failed task waits for an "
    "operator.",
    DeliveryState.CANCELLED: "The delivery is cancelled; it does not come again.",
}


def refusals(
    leases: Sequence[Lease],
    held: Iterable[Lease],
    *,
    may_touch: MayTouch,
    settlement: Settlement | None,
) -> list[Refusal]:
    """An answer to each lease, in the order in which they were named.

    None for a lease that was held, and for one that the same `settlement` ended before.
    """
    named = {one.pair for one in held}
    lost = [one for one in leases if one.pair not in named]
    rows = _rows(lost, may_touch) if lost else {}
    return [
        None if one.pair in named else _why(one, rows.get(one.delivery_id), settlement)
        for one in leases
    ]


def _rows(leases: Iterable[Lease], may_touch: MayTouch) -> dict[int, Any]:
    rows = (
        Delivery.objects.filter(pk__in={one.delivery_id for one in leases})
        .select_related("subscriber")
        .only(
            "state",
            "lease_token",
            "leased_until",
            "settled_token",
            "settlement",
            "subscriber__name",
            "subscriber__allowed_types",
            "subscriber__allowed_sources",
            "subscriber__transport",
        )
    )
    return {row.pk: row for row in rows if may_touch(row.subscriber)}


def _why(lease: Lease, row: Any, settlement: Settlement | None) -> Refusal:
    if row is None:
        return NO_DELIVERY
    is_own_end = lease.token is not None and row.settled_token == lease.token
    if is_own_end and row.settlement == settlement:
        return None
    return f"{_end_of(lease, row, is_own_end=is_own_end)} {_where(lease, row)}"


def _end_of(lease: Lease, row: Any, *, is_own_end: bool) -> str:
    if is_own_end:
        ended = Settlement(row.settlement).label
        return f"This lease has ended: the delivery was {ended} by it."
    if row.state == DeliveryState.LEASED and row.lease_token == lease.token:
        return f"This lease ran out at {row.leased_until:%Y-%m-%d %H:%M:%S} UTC."
    if row.state == DeliveryState.ACKNOWLEDGED:
        return "This lease is not held any more: another lease acknowledged it."
    return NOT_HELD


def _where(lease: Lease, row: Any) -> str:
    if row.state in WHERE:
        return WHERE[row.state]
    if row.subscriber.transport != Transport.PULL:
        transport = row.subscriber.transport
        return f"The delivery goes by {transport} now: its subscriber was switched."
    if row.state == DeliveryState.LEASED and row.lease_token != lease.token:
        return "Another pull has the delivery now."
    return "The delivery comes again."
