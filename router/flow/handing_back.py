"""What a puller says of the deliveries that it leased: done, not now, a moment more.

Each entry is answered for itself: a lease that was lost is told for that one alone.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, DateTimeField, F, When

from router.conf import conf
from router.contract.outcomes import Evidence, Retry
from router.flow.claiming import Claim
from router.flow.settling import acknowledge, release, settle_failure
from router.models import Clock, Delivery, DeliveryState, Transport

LOST = "The lease is not held any more: it ran out, or the delivery was settled."
SPENT = "The lease was extended for as long as it may be; acknowledge or nack it."
Entry = tuple[int, uuid.UUID]
MayTouch = Callable[[str], bool]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of one entry; `refusal` is empty where it went through."""

    delivery_id: int
    refusal: str = ""
    leased_until: datetime | None = None


@transaction.atomic
def ack(entries: Sequence[Entry], *, may_touch: MayTouch) -> list[Answer]:
    """Settle these deliveries as done.

    `may_touch` tells by the subscriber's name whether the caller may settle for it.
    """
    held = _held(entries, may_touch)
    for claim in _claims(held.values()):
        run_ms = {one.pk: _held_ms(one) for one in claim.deliveries}
        acknowledge(claim, run_ms=run_ms)
    return [_answer(entry, entry[0] in held) for entry in entries]


def nack(
    entries: Sequence[Entry],
    *,
    may_touch: MayTouch,
    delay_seconds: float | None = None,
    reason: str = "",
    has_begun: bool = True,
) -> list[Answer]:
    """Give these deliveries back as failed: due again after `delay_seconds` exactly, or
    when the retry schedule says; at the last failure a FailedTask is opened.

    What has not begun comes back as if it had not been leased.
    """
    if not has_begun:
        return _give_back(entries, may_touch, delay_seconds or 0)
    with transaction.atomic():
        held = _held(entries, may_touch)
    told = f"Nacked: {reason}" if reason else "Nacked"
    outcome = Retry(Evidence(error=told), after_seconds=delay_seconds)
    answers = []
    for entry in entries:
        # Taken out: named twice, it was handed back by the first.
        delivery = held.pop(entry[0], None)
        if delivery is not None:
            (claim,) = _claims([delivery])
            settle_failure(claim, outcome, run_ms=_held_ms(delivery))
        answers.append(_answer(entry, delivery is not None))
    return answers


@transaction.atomic
def _give_back(
    entries: Sequence[Entry], may_touch: MayTouch, delay_seconds: float
) -> list[Answer]:
    held = _held(entries, may_touch)
    for claim in _claims(held.values()):
        release(claim, wait_seconds=delay_seconds)
    return [_answer(entry, entry[0] in held) for entry in entries]


@transaction.atomic
def extend(
    entries: Sequence[Entry], *, may_touch: MayTouch, lease_seconds: float
) -> list[Answer]:
    """Hold these deliveries for `lease_seconds` from now.

    In all, a lease lasts `ROUTER["PULL_TOTAL_MAXIMUM_SECONDS"]` since it was taken.
    """
    held = _held(entries, may_touch)
    most = timedelta(seconds=conf().pull_total_maximum_seconds)
    wanted = timedelta(seconds=lease_seconds)
    ends = {
        pk: min(one.now + wanted, one.pulled_at + most)
        for pk, one in held.items()
        if one.pulled_at + most > one.now
    }
    whens = [When(pk=pk, then=end) for pk, end in ends.items()]
    if whens:
        Delivery.objects.filter(pk__in=ends).update(
            leased_until=Case(*whens, default=F("leased_until"), output_field=_TIME)
        )
    return [
        Answer(
            delivery_id=entry[0],
            refusal="" if entry[0] in ends else SPENT if entry[0] in held else LOST,
            leased_until=ends.get(entry[0]),
        )
        for entry in entries
    ]


_TIME = DateTimeField()


def _held(entries: Iterable[Entry], may_touch: MayTouch) -> dict[int, Any]:
    """The deliveries that these entries still hold, locked, by their key."""
    tokens = dict(entries)
    rows = (
        Delivery.objects.filter(pk__in=tokens, state=DeliveryState.LEASED)
        .filter(subscriber__transport=Transport.PULL)
        .annotate(now=Clock())
        .select_related("subscriber", "event")
        .select_for_update(of=("self",))
        .order_by("pk")
    )
    return {
        row.pk: row
        for row in rows
        if row.lease_token == tokens[row.pk] and may_touch(row.subscriber.name)
    }


def _claims(deliveries: Iterable[Any]) -> Iterable[Claim]:
    """One for each lease: what was pulled together shares a token."""
    groups: dict[uuid.UUID, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        groups[delivery.lease_token].append(delivery)
    for token, group in groups.items():
        yield Claim(
            subscriber=group[0].subscriber, token=token, deliveries=tuple(group)
        )


def _held_ms(delivery: Any) -> float:
    passed: timedelta = delivery.now - delivery.pulled_at
    return passed.total_seconds() * 1000


def _answer(entry: Entry, is_held: bool) -> Answer:
    return Answer(delivery_id=entry[0], refusal="" if is_held else LOST)
