"""Step 4, claim: take the lease, count the attempt, commit; the work begins after it.

Counted and committed before the work, an event that kills its worker is known by its
count. A suspect, whose worker vanished before, shares a lease with no other: only what
is leased can vanish again. What is claimable is read here, never believed from the
message.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, Q

from router.conf import conf
from router.db.async_commit import AsyncCommit
from router.db.pipeline import read_changed
from router.db.session import is_wary
from router.db.statements import IDS, SUBSCRIBER, TOKEN, Select, Update
from router.flow import order
from router.flow.breaker.probes import lets_all_through, lets_through
from router.flow.cursor import turn
from router.flow.lease import LEASED, Claim, Leased
from router.models import (
    FOREIGN,
    Clock,
    Delivery,
    DeliveryQuerySet,
    DeliveryState,
    Subscriber,
    SubscriberState,
    Transport,
    Turn,
)

#: Before each further try. A dispatcher that looks at what another one just marked
#: holds the rows for a moment: passed over for good, they would wait for their mark.
PAUSES_SECONDS = (0.005, 0.02, 0.05)
#: What every attempt needs of its subscriber, without what only few do.
OF_SUBSCRIBER = (
    "name", "title", "transport", "state", "url", "target", "rate_per_second",
    "in_flight_limit", "breaker", "breaker_epoch", "ramp", "incident_since",
    "ordering", "on_dead", "is_streamed", "dataschemas",
)  # fmt: skip


def claims(subscriber_id: int, ids: Sequence[int]) -> Iterator[Claim[Leased]]:
    """Claim what is claimable of these deliveries: all healthy ones under one lease,
    then each suspect alone, once the caller asks for the next claim.

    After a lost session a handler gets each delivery alone for a while: one of them may
    have made the database crash.
    """
    if len(ids) > 1 and is_wary() and _is_handler(subscriber_id):
        yield from filter(None, (claim(subscriber_id, [pk]) for pk in ids))
        return
    left = set(ids)
    for pause in (*PAUSES_SECONDS, None):
        shared = _claim(subscriber_id, sorted(left), _shared_lease())
        if shared is not None:
            shared = _with_followers(shared, left)
            left.difference_update(shared.ids)
            yield shared
        if pause is None or not _is_locked_elsewhere(subscriber_id, left):
            break
        time.sleep(pause)
    while (suspect := _next_suspect(subscriber_id, left)) is not None:
        left.remove(suspect)
        alone = claim(subscriber_id, [suspect])
        if alone is not None:
            yield alone


def claim(subscriber_id: int, ids: Sequence[int]) -> Claim[Leased] | None:
    """Lease those of these deliveries that are claimable; None when none is.

    A suspect is, where it is the only one asked for. What is pulled is nothing for a
    worker, whatever the message says.
    """
    return _claim(subscriber_id, ids, _ALONE if len(ids) == 1 else _shared_lease())


def _claim(
    subscriber_id: int, ids: Sequence[int], lease: Update
) -> Claim[Leased] | None:
    token = uuid.uuid4()
    rows, rows_beside = read_changed(
        lease,
        LEASED,
        _SUBSCRIBER,
        before=turn.take_for_deliveries(subscriber_id, token),
        ids=ids,
        subscriber_id=subscriber_id,
        token=token,
    )
    if not rows:
        _leave(subscriber_id, token, ids)
        return None
    deliveries = tuple(Leased.of(row) for row in rows)
    # Read after the lease: switched before, it is carried out the new way; a
    # later switch ends the lease, or waits for what was leased meanwhile.
    [subscriber] = _SUBSCRIBER.as_models(rows_beside)
    return Claim(subscriber=subscriber, token=token, deliveries=deliveries)


def _leave(subscriber_id: int, token: uuid.UUID, ids: Sequence[int]) -> None:
    """Nothing was claimed: a streamed subscriber may be served in the stream again.

    These are due again at once where another had the lease, and may have given it back
    by now, or where the breaker is open: marked, they would keep the next probe away.
    """
    is_open = Exists(Subscriber.objects.filter(~lets_all_through(), pk=subscriber_id))
    reasons = Q(is_open)
    if not turn.give_back(subscriber_id, token):
        reasons |= Q(Exists(Turn.objects.filter(pk=subscriber_id)))
    waiting = Delivery.objects.filter(pk__in_array=ids, state=DeliveryState.PENDING)
    waiting.filter(reasons).update(dispatched_until=None)


def _with_followers(claimed: Claim[Leased], ids: Collection[int]) -> Claim[Leased]:
    """The claim with the deliveries that were held behind those of it.

    A chunk of a foreign router may hold successive events of a key: the transport keeps
    their order. Others get one event of a key at a time.
    """
    named = set(ids).difference(claimed.ids)
    subscriber = claimed.subscriber
    if not (named and subscriber.is_ordered and subscriber.transport in FOREIGN):
        return claimed
    with transaction.atomic():
        joining = order.followers_that_may_go(
            claimed.held(), subscriber.pk, sorted(named)
        )
        rows = Delivery.objects.filter(pk__in_array=joining)
        rows.update(**_leased(claimed.token), due_at=F("created_at"))
        left = Delivery.objects.held().filter(pk__in_array=named.difference(joining))
        left.update(dispatched_until=None, dispatch_count=0)
    together = LEASED.rows(ids=[*claimed.ids, *joining], token=claimed.token)
    return replace(claimed, deliveries=tuple(map(Leased.of, together)))


def _shared_lease() -> Update:
    return _WARY if is_wary() else _SHARED


def _is_handler(subscriber_id: int) -> bool:
    subscribers = _SUBSCRIBER.models(subscriber_id=subscriber_id)
    return any(row.transport == Transport.HANDLER for row in subscribers)


def _is_locked_elsewhere(subscriber_id: int, ids: Collection[int]) -> bool:
    """Whether some of these were passed over, though they are claimable."""
    return bool(ids) and bool(_HEALTHY.rows(ids=ids, subscriber_id=subscriber_id))


def _next_suspect(subscriber_id: int, ids: Collection[int]) -> int | None:
    if not ids:
        return None
    suspects = _SUSPECTS.rows(ids=ids, subscriber_id=subscriber_id)
    return suspects[0][0] if suspects else None


def _claimable() -> DeliveryQuerySet:
    lets = Subscriber.objects.filter(
        lets_through(),
        ~Q(transport=Transport.PULL),
        pk=SUBSCRIBER,
        state=SubscriberState.ACTIVE,
        deleted_at__isnull=True,
    )
    # No join, and no bare column: by a subscriber the planner reads all it ever had.
    return Delivery.objects.alias(owed_to=F("subscriber_id") + 0).filter(
        Exists(lets),
        owed_to=SUBSCRIBER,
        pk__in_array=IDS,
        state__no_index=DeliveryState.PENDING,
        due_at__lte=Clock(),
    )


def _lease(*conditions: Any) -> tuple[DeliveryQuerySet, dict[str, Any]]:
    claimable = (
        _claimable()
        .filter(turn.is_ours_or_none(), *conditions)
        .select_for_update(skip_locked=True, of=("self",))
        .order_by("pk")
    )
    return Delivery.objects.filter(pk__in=claimable.values("pk")), _leased(TOKEN)


def _leased(token: Any) -> dict[str, Any]:
    """The columns of a delivery that begins its attempt under this lease."""
    return {
        "state": DeliveryState.LEASED,
        "lease_token": token,
        "leased_until": Clock() + timedelta(seconds=conf().lease_seconds),
        "attempts": F("attempts") + 1,
    }


_SUBSCRIBER = Select(
    lambda: Subscriber.objects.only(*OF_SUBSCRIBER).filter(pk=SUBSCRIBER).order_by()
)
_SHARED = Update(lambda: _lease(Q(vanished=0), AsyncCommit()))
# On the disk before the work: what makes the database crash is known by its count.
_WARY = Update(lambda: _lease(Q(vanished=0)))
_ALONE = Update(_lease)
_HEALTHY = Select(lambda: _claimable().filter(vanished=0).values_list("pk")[:1])
_SUSPECTS = Select(
    lambda: _claimable().filter(vanished__gt=0).order_by("pk").values_list("pk")[:1]
)
