"""The lease of a streamed subscriber: taken, given back, rung for.

A worker proves by the token that it holds the lease: every write after the claim begins
with an update of the Turn's row by its token.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, F, IntegerField, OuterRef, QuerySet

from router.conf import conf
from router.db.async_commit import AsyncCommit
from router.db.statements import (
    IDS,
    SUBSCRIBER,
    TOKEN,
    Param,
    Statement,
    Update,
    changed,
)
from router.flow.breaker.pace import is_in_pace
from router.flow.breaker.probes import lets_all_through, may_be_tried
from router.flow.marks import mark_end
from router.models import (
    LIVE,
    Clock,
    Delivery,
    Subscriber,
    SubscriberState,
    Turn,
)
from router.models.cursor import TurnQuerySet

#: Whose cursor is under the lease.
RUN = Param("run", IntegerField())
#: No worker has the lease.
FREE: dict[str, Any] = {
    "token": None,  # nosec B105  # no token
    "leased_until": None,
    "leased_count": 0,
    "run": LIVE,
}
UNMARKED: dict[str, Any] = {"marked_until": None, "mark_count": 0}


def give_back(
    subscriber_id: int, token: uuid.UUID, *, pause_seconds: float = 0.0
) -> bool:
    """End the lease; returns whether it was held. No dispatcher rings for its
    subscriber before the pause is over."""
    pause = Clock() + timedelta(seconds=pause_seconds) if pause_seconds else None
    held = Turn.objects.filter(pk=subscriber_id, token=token)
    return bool(held.update(**FREE, marked_until=pause))


def unmark(subscriber_id: int) -> None:
    """Ring for it again: the message for it was surely not sent."""
    marked = Turn.objects.free().filter(pk=subscriber_id, mark_count__gt=0)
    marked.update(marked_until=None, mark_count=F("mark_count") - 1)


def ring_again(subscriber_id: int) -> None:
    """Forget the mark: an operator says that the subscriber may be served now.

    Before the subscriber's row is locked: a worker that settles has the lease locked.
    """
    Turn.objects.filter(pk=subscriber_id).update(**UNMARKED)


def lock(subscriber_id: int) -> None:
    """Lock the Turn before other rows of its subscriber, in the order of a worker that
    settles: the other way round the two could wait for each other."""
    Turn.objects.select_for_update().filter(pk=subscriber_id).first()


def wait_for_claims() -> None:
    """Wait for the claims that are under way, and let none begin before the end of the
    caller's transaction, which has locked no row that a worker writes.

    A claim of deliveries that began before there was a Turn knows nothing of it.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # What waits here reads once it has the lock: it sees the new Turn.
            cursor.execute(
                f'LOCK TABLE "{Turn._meta.db_table}" IN SHARE ROW EXCLUSIVE MODE'
            )


def end(subscriber_id: int) -> None:
    """Take the lease away for good: what runs under it rolls back."""
    Turn.objects.filter(pk=subscriber_id).delete()


def mark(ids: Iterable[int], *, is_alone: bool = False) -> Statement:
    """The statement that marks those of these that may be rung for now, and returns
    their ids.

    In the transaction of the caller, who sends a message to each once it is committed.
    `is_alone`: nothing else is in the transaction, which need not wait for the disk.
    """
    marked = (_MARK_ALONE if is_alone else _MARK).bound(ids=list(ids))
    return Statement(f'{marked.sql} RETURNING "subscriber_id"', marked.parameters)


def mark_for_deliveries(ids: Sequence[int]) -> None:
    """Mark these, for deliveries that are on their way to them."""
    if ids:
        changed(_MARK.bound(ids=ids))


def take_for_deliveries(subscriber_id: int, token: uuid.UUID) -> Statement:
    """The statement that takes the lease for deliveries, where there is a Turn."""
    return _TAKE_FOR_DELIVERIES.bound(subscriber_id=subscriber_id, token=token)


def is_ours_or_none() -> Any:
    """Deliveries of a subscriber whose lease is ours, or that has no Turn."""
    # NULL is excluded by no token: what is not ours is found, free or not.
    return ~Exists(Turn.objects.filter(subscriber=SUBSCRIBER).exclude(token=TOKEN))


def may_be_rung() -> TurnQuerySet:
    """Turns that are free, unmarked, and of an active subscriber that is well and has
    room for deliveries."""
    served = Exists(_served(OuterRef("pk")))
    return Turn.objects.free().unmarked().filter(served, is_full=False)


def _served(subscriber_id: Any) -> QuerySet[Subscriber]:
    """The subscriber, if its cursor may be served."""
    return Subscriber.objects.filter(
        lets_all_through(),
        may_be_tried(),
        is_in_pace(),
        pk=subscriber_id,
        state=SubscriberState.ACTIVE,
        deleted_at__isnull=True,
    )


def _marked(*conditions: Any) -> tuple[QuerySet[Turn], dict[str, Any]]:
    # What a worker writes at this moment is passed over: routing must not wait for it.
    rows = may_be_rung().filter(*conditions, subscriber__id__in_array=IDS)
    free = rows.select_for_update(skip_locked=True, of=("self",)).values("pk")
    return Turn.objects.filter(pk__in=free), {
        "marked_until": mark_end("mark_count"),
        "mark_count": F("mark_count") + 1,
    }


def _leased() -> dict[str, Any]:
    until = Clock() + timedelta(seconds=conf().lease_seconds)
    return {"token": TOKEN, "leased_until": until, **UNMARKED}


def _taken(*conditions: Any) -> tuple[QuerySet[Turn], dict[str, Any]]:
    leased = Delivery.objects.leased().filter(subscriber=SUBSCRIBER)
    rows = Turn.objects.free().filter(*conditions, pk=SUBSCRIBER, is_full=False)
    changes = {**_leased(), "run": RUN}
    return rows.filter(Exists(_served(SUBSCRIBER)), ~Exists(leased)), changes


def _taken_for_deliveries() -> tuple[QuerySet[Turn], dict[str, Any]]:
    return Turn.objects.free().filter(pk=SUBSCRIBER), _leased()


_MARK = Update(_marked)
_MARK_ALONE = Update(lambda: _marked(AsyncCommit()))
TAKE = Update(lambda: _taken(AsyncCommit()))
# On the disk before the work: what makes the database crash is known by its lease.
TAKE_WARILY = Update(_taken)
_TAKE_FOR_DELIVERIES = Update(_taken_for_deliveries)
#: Fences what follows in the transaction, and keeps the lease.
HOLD = Update(
    lambda: (Turn.objects.filter(pk=SUBSCRIBER, token=TOKEN), {"mark_count": 0})
)
#: The same, and ends the lease.
END = Update(lambda: (Turn.objects.filter(pk=SUBSCRIBER, token=TOKEN), FREE))
