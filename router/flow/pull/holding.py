"""Which of the leases that a puller names it still holds."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F

from router.db.statements import IDS, TOKENS, Select
from router.flow.lease import Claim
from router.models import (
    Clock,
    Delivery,
    DeliveryState,
    Settlement,
    Subscriber,
    Transport,
)

#: Whether the caller may settle for this subscriber.
Authorizer = Callable[[Subscriber], bool]
#: Why an entry is refused; None for one that went through.
Refusal = str | None


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A lease as the puller names it; `seconds` is the wait or the extension asked."""

    delivery_id: int
    token: uuid.UUID | None
    seconds: float | None = None

    @property
    def pair(self) -> tuple[int, uuid.UUID | None]:
        return self.delivery_id, self.token


@dataclass(frozen=True)
class Held:
    """What the end of a lease asks of its delivery; a model takes several times as long
    to make."""

    subscriber: Subscriber
    pk: int
    attempts: int
    is_manual: bool
    lease_token: uuid.UUID
    #: The lease that ended before, and how.
    settled_token: uuid.UUID | None
    settlement: int | None
    held_for: timedelta


@dataclass(frozen=True, kw_only=True)
class PullClaim(Claim[Held]):
    """Deliveries of one subscriber under the leases of several pulls."""

    @property
    def tokens(self) -> Collection[uuid.UUID]:
        return {row.lease_token for row in self.deliveries}


def lock_held(leases: Iterable[Lease], *, may_touch: Authorizer) -> dict[Lease, Held]:
    """The deliveries whose leases hold, locked.

    A lease past its time is lost even before the sweep has seen it: the next pull
    gets the delivery. What the caller may not touch is as if it were not there.
    """
    named = {lease.pair: lease for lease in leases if lease.token}
    ids, tokens = {pk for pk, _ in named}, {token for _, token in named}
    rows = _HELD.rows(ids=ids, tokens=tokens)
    # Not joined: each row would bring a copy of its own, as large as itself.
    owners = {owner for owner, *_ in rows}
    subscriber_of = Subscriber.objects.defer("custom_headers").in_bulk(owners)
    held = (Held(subscriber_of[owner], *values) for owner, *values in rows)
    by_lease = {named.get((row.pk, row.lease_token)): row for row in held}
    return {
        lease: row
        for lease, row in by_lease.items()
        if lease and may_touch(row.subscriber)
    }


OF_HELD = (
    "subscriber_id", "pk", "attempts", "is_manual", "lease_token", "settled_token",
    "settlement",
)  # fmt: skip


def _held() -> Any:
    held = Delivery.objects.filter(
        pk__in_array=IDS,
        lease_token__in_array=TOKENS,
        state=DeliveryState.LEASED,
        leased_until__gt=Clock(),
        subscriber__transport=Transport.PULL,
    )
    return (
        held.select_for_update(of=("self",))
        .order_by("pk")
        .values_list(*OF_HELD, Clock() - F("pulled_at"))
    )


_HELD = Select(_held)


def holdings(held: Iterable[Held]) -> list[PullClaim]:
    """The deliveries as claims, one for each subscriber."""
    of: defaultdict[int, list[Held]] = defaultdict(list)
    for row in held:
        of[row.subscriber.pk].append(row)
    return [
        PullClaim(
            subscriber=rows[0].subscriber,
            token=rows[0].lease_token,
            deliveries=tuple(rows),
        )
        for _, rows in sorted(of.items())
    ]


def models_of(held: Mapping[Lease, Held]) -> dict[Lease, Any]:
    """The rows themselves, each with `now` by the database."""
    ids = [row.pk for row in held.values()]
    rows = Delivery.objects.filter(pk__in_array=ids).annotate(now=Clock())
    of = {row.pk: row for row in rows}
    for each in held.values():
        of[each.pk].subscriber = each.subscriber
    return {lease: of[row.pk] for lease, row in held.items()}


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
    held: Mapping[Lease, Held],
    *,
    may_touch: Authorizer,
    settlement: Settlement | None,
) -> list[Refusal]:
    """An answer to each lease, in the order in which they were named.

    None for a lease that was held, and for one that the same `settlement` ended before.
    `held` is what `lock_held` returned.
    """
    named = {lease.pair for lease in held}
    lost = [lease for lease in leases if lease.pair not in named]
    rows = _rows(lost, may_touch) if lost else {}
    _recall(rows, held.values())
    return [
        None
        if lease.pair in named
        else _why(lease, rows.get(lease.delivery_id), settlement)
        for lease in leases
    ]


def _rows(leases: Iterable[Lease], may_touch: Authorizer) -> dict[int, Any]:
    rows = (
        Delivery.objects.filter(pk__in={lease.delivery_id for lease in leases})
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


def _recall(rows: Mapping[int, Any], held: Iterable[Held]) -> None:
    """Let each row name the lease that ended before this call.

    A call may name two leases of one delivery: the one that it ends must not hide the
    one that ended before.
    """
    for before in held:
        if row := rows.get(before.pk):
            row.settled_token, row.settlement = before.settled_token, before.settlement


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
